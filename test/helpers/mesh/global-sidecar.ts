/** A global-sidecar: a pod of Service `global-sidecar` with a real Envoy in it. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { envoyBinary } from '../../../local-cluster/mesh/envoy-binary.ts'
import type { NetworkPod, PodNetwork } from '../../../local-cluster/mesh/network.ts'
import type { Part } from '../../../local-cluster/supervise.ts'
import { eventually } from '../eventually.ts'
import { type GlobalSidecarConfig, globalSidecarBootstrap } from './envoy-config.ts'

export interface GlobalSidecar extends AsyncDisposable {
  readonly pod: NetworkPod
  readonly envoy: Part
  /** A counter or gauge of Envoy; 0 for one that it does not have. */
  readonly stat: (name: string) => Promise<number>
  /** Envoy's log so far. */
  readonly log: () => string
}

export interface GlobalSidecarOptions extends Omit<GlobalSidecarConfig, 'pod' | 'ip'> {
  readonly name?: string
  /** A pod for it; a new one when absent. */
  readonly pod?: NetworkPod
  /** Threads, each with a stream of its own (default 2). */
  readonly workers?: number
  /** Of a new pod (default: those that the rendered Service selects). */
  readonly labels?: Readonly<Record<string, string>>
}

/** Starts it; resolves when it listens. */
export async function startGlobalSidecar(network: PodNetwork, options: GlobalSidecarOptions): Promise<GlobalSidecar> {
  const { name = 'global-sidecar-1', namespace, labels = { app: 'qz-ingress' }, workers = 2 } = options
  const [binary, pod] = await Promise.all([envoyBinary(), options.pod ?? network.createPod({ name, namespace, labels })])
  const file = join(network.dir, `envoy-${pod.ip}.json`)
  writeFileSync(file, JSON.stringify(globalSidecarBootstrap({ ...options, pod: name, ip: pod.ip })))
  const args = ['--config-path', file, '--concurrency', String(workers), '--disable-hot-restart', '--log-level', 'warning']
  const envoy = pod.start('envoy', binary, [...args, '--component-log-level', 'main:info'])
  const log = (): string => readFileSync(envoy.logFile, 'utf8')
  await eventually(
    () => {
      assert.equal(envoy.ended(), undefined, `Envoy ended. ${log()}`)
      assert.match(log(), /starting main dispatch loop/)
    },
    { timeout: 60_000 },
  )
  return {
    pod,
    envoy,
    log,
    stat: async (wanted) => {
      const { text } = await pod.app().call(`http://127.0.0.1:15000/stats?filter=${encodeURIComponent(wanted)}`)
      return Number(
        text
          .split('\n')
          .find((line) => line.startsWith(`${wanted}: `))
          ?.slice(wanted.length + 2) ?? 0,
      )
    },
    [Symbol.asyncDispose]: async () => await pod.dispose(),
  }
}
