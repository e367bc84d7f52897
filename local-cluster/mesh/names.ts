/** The names of a pod network: the file that its DNS server answers from (programs/gateway.ts), and the resolver's configuration of pods. */
import { appendFileSync, existsSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Names {
  /** Lines `ADDRESS NAME…`. */
  readonly file: string
  /** Full names for an address, which the DNS server gives from now on. A name may have several addresses. */
  readonly add: (ip: string, names: readonly string[]) => void
  /** The same for all names at once: those that are not given here are forgotten. */
  readonly set: (names: readonly { readonly name: string; readonly ip: string }[]) => void
  /** A file with the /etc/resolv.conf of a pod in this namespace. */
  readonly resolvConf: (namespace: string) => string
}

/** Keeps its files in the folder `dir`; `server` is the address of the DNS server. */
export function createNames(dir: string, server: string): Names {
  const file = join(dir, 'names')
  writeFileSync(file, '')
  return {
    file,
    add: (ip, names) => {
      if (names.length > 0) appendFileSync(file, `${ip} ${names.join(' ')}\n`)
    },
    set: (names) => {
      writeFileSync(`${file}.new`, names.map(({ name, ip }) => `${ip} ${name}\n`).join(''))
      renameSync(`${file}.new`, file)
    },
    resolvConf: (namespace) => {
      const target = join(dir, `resolv.conf-${namespace}`)
      // a resolver that reads the file while it is written again would have no server
      if (existsSync(target)) return target
      const search = [`${namespace}.svc.cluster.local`, 'svc.cluster.local', 'cluster.local']
      writeFileSync(target, `nameserver ${server}\nsearch ${search.join(' ')}\noptions ndots:5\n`)
      return target
    },
  }
}
