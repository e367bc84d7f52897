/** Addresses of pods: each network has a /24 of its own within 10.244.0.0/16, so that networks which share a cluster never share an address. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

const NETWORKS = 250
const PODS = 250

export interface Addresses {
  /** The next free address. An address is never given out again. */
  readonly next: () => string
}

/** Takes a /24 that no other process took in `dir`, the folder of a cluster. */
export function takeAddresses(dir: string): Addresses {
  const first = Math.floor(Math.random() * NETWORKS)
  for (let attempt = 0; attempt < NETWORKS; attempt++) {
    const network = (first + attempt) % NETWORKS
    if (!take(join(dir, `pod-network-10.244.${network}.0`))) continue
    let pods = 1
    return {
      next: () => {
        if (++pods > PODS) throw new Error(`the pod network 10.244.${network}.0/24 has no address left`)
        return `10.244.${network}.${pods}`
      },
    }
  }
  throw new Error(`all ${NETWORKS} pod networks of this cluster have been taken; start a new cluster`)
}

function take(file: string): boolean {
  try {
    writeFileSync(file, String(process.pid), { flag: 'wx' })
    return true
  } catch {
    return false
  }
}
