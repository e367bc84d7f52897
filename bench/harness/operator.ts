/** The operator as it ships: the bundle in a process of its own, with the flags of the image. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { partFailure, type Part } from '../../local-cluster/supervise.ts'
import { writeBundle } from '../../tools/build.ts'
import { SERVED_LABEL, SHARD } from './boots.ts'
import type { Who } from './requests.ts'
import type { Stage } from './stage.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const BUNDLE = join(ROOT, 'dist', 'slimeboot.mjs')
const POLL_MS = 10

export const byOperator: Who = ({ userAgent }) => userAgent.startsWith('slimeboot/')

export interface Operator {
  readonly pid: number
  /** When the process was started, milliseconds since 1970. */
  readonly startedAt: number
  /** Milliseconds since 1970 at which it logged that its watches are open. */
  readonly watchingAt: () => Promise<number>
  /** Text of its /metrics. */
  readonly metrics: () => Promise<string>
  /** Holds it still while `work` makes what it shall find all at once; returns the time at which it went on. */
  readonly hold: (work: () => Promise<void>) => Promise<Date>
  readonly stop: () => Promise<void>
}

interface OperatorOptions {
  readonly kubeconfig?: string
  /** Options of Node before the bundle, as a profiler needs them. */
  readonly nodeArgs?: readonly string[]
}

let built: Promise<void> | undefined
let count = 0

/** Builds dist/slimeboot.mjs once in a run. */
export async function buildBundle(): Promise<void> {
  built ??= writeBundle(BUNDLE)
  await built
}

export async function startOperator({ cluster, operatorKubeconfig }: Stage, options: OperatorOptions = {}): Promise<Operator> {
  await buildBundle()
  const { kubeconfig = operatorKubeconfig, nodeArgs = profilerArgs() } = options
  const env = ['POD_NAME=bench-0', 'POD_NAMESPACE=mesh-operator', 'SLIMEBOOT_HEALTH_ADDRESS=127.0.0.1:0']
  const flags = ['--kubeconfig', kubeconfig, '--log-format', 'json', '--mesh-settle', '1s']
  // the floor's SlimeBoots are not served; while it is held still it must not lose the Lease
  const shard = ['--selector', `${SERVED_LABEL.name}=${SERVED_LABEL.value}`, '--leader-elect-name', SHARD]
  const patient = ['--lease-duration', '120s', '--renew-deadline', '100s']
  const startedAt = Date.now()
  const part = cluster.supervise(`operator-${count++}`, {
    file: '/usr/bin/env',
    args: [...env, process.execPath, ...imageNodeArgs(), ...nodeArgs, BUNDLE, 'run', ...flags, ...shard, ...patient],
  })
  const logged = async (message: string): Promise<LogLine> => await findLine(part, message)
  return {
    pid: part.pid,
    startedAt,
    watchingAt: async () => Date.parse((await logged('watching')).timestamp),
    metrics: async () => {
      const { port } = await logged('serving /livez, /readyz and /metrics')
      return await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
    },
    hold: async (work) => {
      process.kill(part.pid, 'SIGSTOP')
      try {
        await work()
      } finally {
        process.kill(part.pid, 'SIGCONT')
      }
      return new Date()
    },
    stop: async () => await part.stop('SIGTERM'),
  }
}

/** Node's options in the image's ENTRYPOINT: what ships is what is measured. */
function imageNodeArgs(): readonly string[] {
  const entrypoint = /^ENTRYPOINT (\[.*\])$/m.exec(readFileSync(join(ROOT, 'Dockerfile'), 'utf8'))?.[1] ?? '[]'
  return (JSON.parse(entrypoint) as string[]).slice(1, -1)
}

/** `BENCH_NODE_ARGS="--cpu-prof --cpu-prof-dir=/tmp/profile" npm run bench -- many` */
function profilerArgs(): readonly string[] {
  return (process.env['BENCH_NODE_ARGS'] ?? '').split(' ').filter((arg) => arg !== '')
}

interface LogLine {
  readonly message: string
  readonly timestamp: string
  readonly port?: number
}

async function findLine(part: Part, message: string): Promise<LogLine> {
  const deadline = performance.now() + 60_000
  for (;;) {
    const found = readFileSync(part.logFile, 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('{') && line.endsWith('}'))
      .map((line) => JSON.parse(line) as LogLine)
      .find((line) => line.message === message)
    if (found !== undefined) return found
    const end = part.ended()
    if (end !== undefined) throw partFailure(part, `ended (${end})`)
    if (performance.now() > deadline) throw partFailure(part, `did not log "${message}"`)
    await sleep(POLL_MS)
  }
}
