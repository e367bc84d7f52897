/** Access-log entries per second of CPU: a recorded stream of Envoy over gRPC, of hosts that are known and of new ones, against bare gRPC. */
import { decodeBatch } from '../../lazyload/accesslog/decode.ts'
import { ENDPOINT_SLICE, SERVICE, SERVICE_FENCE } from '../../lazyload/kinds.ts'
import { join } from 'node:path'
import { median } from '../harness/numbers.ts'
import { startProgram } from '../harness/program.ts'
import type { Result } from '../harness/report.ts'
import type { Run } from '../harness/run.ts'
import { names } from '../harness/boots.ts'
import { cpuSeconds } from '../harness/usage.ts'
import { byController, type Controller, setMesh, startController } from './harness/controller.ts'
import { address, createAll, createServedNamespaces, endpoints, fence, hostOf, service } from './harness/objects.ts'
import { type Call, recordedBatch, recordedMessages, recordedSize } from './harness/recording.ts'
import { replay } from './harness/sender.ts'
import { untilAtRest } from './harness/rest.ts'

const NAMESPACE = 'app'
const SERVICES = 200
const HOSTS_PER_CALLER = 20
/** Each host is called so often in one pass over the calls. */
const REPEATS = 10
const PASSES = 10
const ROUNDS = 5
/** One for each worker thread of two Envoys. */
const STREAMS = 4
const COUNTING_SERVER = join(import.meta.dirname, 'harness', 'counting-server.ts')

interface Round {
  /** CPU time for an entry, microseconds. */
  readonly floor: number
  readonly fresh: number
  readonly known: number
  readonly perSecond: number
}

export async function entries(run: Run): Promise<Result> {
  await using mesh = await setMesh('entries')
  const services = names('service', SERVICES)
  await createServedNamespaces(mesh, [NAMESPACE])
  await createAll(
    mesh,
    SERVICE,
    services.map((name) => service(NAMESPACE, name)),
    run.show,
  )
  const slices = services.map((name, index) => endpoints(NAMESPACE, name, [address(index)]))
  await createAll(mesh, ENDPOINT_SLICE, slices, run.show)
  const fences = services.map((name) => fence(NAMESPACE, name))
  await createAll(mesh, SERVICE_FENCE, fences, run.show)

  const perMessage = Math.round(recordedBatch())
  const calls = callsOf(services)
  const messages = recordedMessages(calls, perMessage)
  const counting = startProgram(mesh, 'counting', { file: COUNTING_SERVER, args: [] })
  const countingPort = (await counting.logged('receiving')).port ?? 0
  const controller = await startController(mesh)
  const port = await controller.logPort()
  await untilAtRest(mesh, byController)
  run.show('warming up')
  await replay(port, messages, PASSES, STREAMS)
  await replay(countingPort, messages, PASSES, STREAMS)

  const count = calls.length * run.size(PASSES)
  const rounds: Round[] = []
  for (let round = 0; round < ROUNDS; round++) {
    run.show(`round ${round + 1} of ${ROUNDS}`)
    const cpuOf = async (pid: number, work: () => Promise<unknown>): Promise<number> => {
      const before = cpuSeconds(pid)
      await work()
      return ((cpuSeconds(pid) - before) / count) * 1e6
    }
    const floor = await cpuOf(counting.pid, async () => await replay(countingPort, messages, run.size(PASSES), STREAMS))
    await untilAtRest(mesh, byController)
    const startedAt = performance.now()
    const known = await cpuOf(controller.pid, async () => await replay(port, messages, run.size(PASSES), STREAMS))
    const perSecond = count / ((performance.now() - startedAt) / 1000)
    await forget(controller)
    await untilAtRest(mesh, byController)
    const fresh = await cpuOf(controller.pid, async () => {
      await replay(port, messages, run.size(PASSES), STREAMS)
      await untilAtRest(mesh, byController)
    })
    rounds.push({ floor, known, fresh, perSecond })
  }
  const { text } = await controller.get('/metrics')
  await Promise.all([controller.stop(), counting.stop()])
  const learnable = Number(/accesslog_entries_total\{result="learnable"\} (\d+)/.exec(text)?.[1])
  const sent = calls.length * PASSES + 2 * ROUNDS * count
  if (learnable !== sent) throw new Error(`${learnable} of ${sent} entries were understood`)

  const of = (pick: (round: Round) => number): number => median(rounds.map(pick))
  const [floor, known, fresh] = [of((round) => round.floor), of((round) => round.known), of((round) => round.fresh)]
  const hosts = SERVICES * HOSTS_PER_CALLER
  const unit = 'µs CPU/entry'
  return {
    name: 'entries',
    title: 'Access-log entries',
    rows: [
      { what: 'entries per second of CPU, hosts that are known', value: 1e6 / known, unit: '1/s', target: { least: 100_000 } },
      {
        what: `the same where ${hosts} of ${count} are new, until the last Sidecar is written`,
        value: 1e6 / fresh,
        unit: '1/s',
      },
      { what: 'hosts that are known', value: known, unit, reference: { name: 'gRPC that only counts messages', value: floor } },
      { what: 'decoding alone', value: decodingOf(messages, calls.length), unit },
      { what: 'CPU time for a new host, in the status and in the Sidecar', value: ((fresh - known) * count) / hosts / 1000, unit: 'ms' },
      { what: 'entries per second of the clock, with the sender on the same machine', value: of((round) => round.perSecond), unit: '1/s' },
    ],
    bars: [
      {
        group: 'Access-log entry',
        unit,
        bars: [
          { name: 'gRPC alone', value: floor },
          { name: 'known host', value: known },
          { name: '1 % new hosts', value: fresh },
        ],
      },
    ],
    notes: [
      `Median of ${ROUNDS} rounds of ${count} entries over ${STREAMS} streams, ${perMessage} in a message, ${Math.round(recordedSize())} bytes each as Envoy recorded them; ${SERVICES} callers of ${HOSTS_PER_CALLER} hosts each.`,
    ],
  }
}

/** Every Service calls the twenty after it, in an order without pattern. */
function callsOf(services: readonly string[]): readonly Call[] {
  const calls = services.flatMap((_, caller) =>
    Array.from({ length: HOSTS_PER_CALLER * REPEATS }, (__, index) => ({
      address: address(caller),
      host: hostOf(NAMESPACE, services[(caller + 1 + (index % HOSTS_PER_CALLER)) % services.length]!),
    })),
  )
  // a step that has no divisor in common with the number of calls visits each once
  return calls.map((_, index) => calls[(index * 7919) % calls.length]!)
}

/** All fences forget what they have learned. */
async function forget(controller: Controller): Promise<void> {
  const { status, text } = await controller.get(`/lazyload/debug/svfReset?ns=${NAMESPACE}`)
  if (status !== 200) throw new Error(`reset: ${text}`)
}

/** CPU time of this process, microseconds for an entry. */
function decodingOf(messages: readonly Buffer[], entriesInThem: number): number {
  const decodeAll = (): void => messages.forEach((message) => void decodeBatch(message))
  for (let warm = 0; warm < 3; warm++) decodeAll()
  const before = process.cpuUsage()
  for (let pass = 0; pass < PASSES; pass++) decodeAll()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / (entriesInThem * PASSES)
}
