/**
 * Programs that a reader of the tutorial has, where they cannot be the real ones. kubectl is real but for `exec` and `logs`, which call
 * the kubelet; minikube and istioctl stand for the node and for the installation of Istio that there are here.
 */
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import type { Mesh } from '../../local-cluster/mesh/mesh.ts'
import type { KubeletPod } from '../../local-cluster/mesh/running-pod.ts'

export interface Programs extends Disposable {
  /** To be the first in PATH. */
  readonly folder: string
}

/** What a program prints; an Error when it fails. */
type Program = (args: readonly string[]) => Promise<string>

// As ssh does: one string for the shell of the node.
const ON_NODE = 'mount --bind "$0" /mnt && exec sh -c "$1"'

export async function installPrograms(mesh: Mesh): Promise<Programs> {
  const folder = mkdtempSync(join(realpathSync(tmpdir()), 'slimeboot-programs-'))
  const socket = join(folder, 'server.sock')
  const programs: Readonly<Record<string, Program>> = {
    kubectl: async (args) => await kubectl(mesh, args),
    minikube: async (args) => await minikube(mesh, folder, args),
    istioctl: async (args) => await istioctl(mesh, args),
  }
  const server = createServer((request, response) => {
    const program = programs[request.url!.slice(1)]!
    text(request)
      .then(async (body) => await program(body.split('\n')))
      .then(
        (output) => response.end(output),
        (error: unknown) => response.writeHead(500).end(String(error)),
      )
  })
  server.listen(socket).unref()
  await once(server, 'listening')
  const ask = (name: string): string =>
    `exec curl -sS --fail-with-body --unix-socket ${socket} --data-binary "$(printf '%s\\n' "$@")" http://mesh/${name}`
  const write = (name: string, script: string): void => {
    writeFileSync(join(folder, name), `#!/bin/sh\n${script}\n`)
    chmodSync(join(folder, name), 0o755)
  }
  write('kubectl', `case $1 in exec | logs) ${ask('kubectl')} ;; esac\nexec ${pathOf('kubectl')} "$@"`)
  write('minikube', ask('minikube'))
  write('istioctl', ask('istioctl'))
  write('sudo', 'exec "$@"')
  return {
    folder,
    [Symbol.dispose]: () => {
      server.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

async function kubectl({ kubelet }: Mesh, [verb, ...args]: readonly string[]): Promise<string> {
  const pod = podOf(kubelet.pods(), args)
  if (verb === 'logs') return logOf(pod, args)
  const [file = '', ...rest] = args.slice(args.indexOf('--') + 1)
  return await pod.place.run(file, rest)
}

/** `minikube ssh -- COMMAND…`: on this machine, with the node's /mnt. */
async function minikube({ kubelet }: Mesh, folder: string, [verb, separator, ...command]: readonly string[]): Promise<string> {
  if (verb !== 'ssh' || separator !== '--') throw new Error(`minikube ${verb} ${separator}: not known here`)
  const mnt = join(kubelet.nodeRoot, 'mnt')
  mkdirSync(mnt, { recursive: true })
  const env = { PATH: `${folder}${delimiter}${process.env['PATH']}` }
  const args = ['--mount', '--propagation', 'private', 'sh', '-c', ON_NODE, mnt, command.join(' ')]
  return (await promisify(execFile)('unshare', args, { env })).stdout
}

/** `istioctl install -y --set SETTING…`; what it prints of its progress is not for a comparison. */
async function istioctl({ install }: Mesh, [verb, yes, ...args]: readonly string[]): Promise<string> {
  const settings = args.filter((_, index) => index % 2 === 1)
  if (verb !== 'install' || yes !== '-y' || args.some((word, index) => index % 2 === 0 && word !== '--set'))
    throw new Error(`istioctl ${[verb, yes, ...args].join(' ')}: not known here`)
  await install(settings)
  return ''
}

/** The pod of `deployment/NAME` in the namespace after `-n`. */
function podOf(pods: readonly KubeletPod[], args: readonly string[]): KubeletPod {
  const namespace = args[args.indexOf('-n') + 1]
  const name = args.find((word) => word.startsWith('deployment/'))?.slice('deployment/'.length)
  const found = pods.find((pod) => pod.namespace === namespace && pod.name.startsWith(`${name}-`))
  if (found === undefined) throw new Error(`no pod of deployment ${name} in namespace ${namespace}`)
  return found
}

function logOf(pod: KubeletPod, args: readonly string[]): string {
  const lines = pod.log(args[args.indexOf('-c') + 1] ?? '').split('\n')
  const tail = args.find((word) => word.startsWith('--tail='))?.slice('--tail='.length)
  return tail === undefined ? lines.join('\n') : `${lines.filter(Boolean).slice(-Number(tail)).join('\n')}\n`
}

function pathOf(program: string): string {
  const files = (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, program))
  return files.find((file) => existsSync(file))!
}
