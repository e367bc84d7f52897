/** A call to a new host is logged → its caller's Sidecar is written: one at a time, under a stream of known calls, and 500 at once. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { AuditEvent } from '../../local-cluster/audit.ts'
import { ENDPOINT_SLICE, SERVICE, SERVICE_FENCE, SIDECAR } from '../../lazyload/kinds.ts'
import { hostsOf } from '../../test/helpers/lazyload.ts'
import { createChooser } from '../../test/helpers/seed.ts'
import { type BareClient, createBareClient } from '../harness/bare-client.ts'
import { names } from '../harness/boots.ts'
import { median, percentile } from '../harness/numbers.ts'
import type { Result, Row } from '../harness/report.ts'
import { requestsOf } from '../harness/requests.ts'
import type { Run } from '../harness/run.ts'
import { byController, type Mesh, setMesh, startController } from './harness/controller.ts'
import { learnedHost, sidecarApply } from './harness/floor.ts'
import { address, createAll, createServedNamespaces, endpoints, fence, hostOf, service } from './harness/objects.ts'
import { recordedMessages } from './harness/recording.ts'
import { untilAtRest } from './harness/rest.ts'
import { type LogSender, openSender } from './harness/sender.ts'

const NAMESPACE = 'app'
const FLOOR_NAMESPACE = 'floor-app'
const CALLERS = 500
const SAMPLES = 400
/** Between two new hosts, on average. */
const PAUSE_MS = 100
/** Known calls per second beside. */
const BESIDE = 20_000
const KNOWN_PER_MESSAGE = 25
const LIMIT_MS = 30_000
/** Nobody asks whose it is. */
const ANY_UID = '7d0b9b64-0f4a-4d8e-9c0b-3f1f6a8b2c11'

interface Sample {
  readonly caller: string
  /** Milliseconds since 1970. */
  readonly sentAt: number
}

/** Milliseconds. */
interface Learned {
  /** Message sent → Sidecar written. */
  readonly total: number
  /** The same without the time that the API server took for the two writes. */
  readonly own: number
  /** Of it: message sent → the learned host reaches the API server; host stored → the Sidecar reaches the API server. */
  readonly toStatus: number
  readonly toSidecar: number
}

export async function learn(run: Run): Promise<Result> {
  await using mesh = await setMesh('learn')
  const callers = names('caller', run.size(CALLERS))
  await createScene(mesh, callers, run)
  const floor = await createBareClient(mesh, mesh.controllerToken)
  const controller = await startController(mesh, [NAMESPACE])
  const sender = openSender(await controller.logPort())
  await untilAtRest(mesh, byController)

  const samples = run.size(SAMPLES)
  run.show('the floor')
  const floorMs = await floorOf(floor, callers, samples)
  run.show('warming up')
  await learnedOf(mesh, await teach(sender, callers, samples, 'warm'))
  run.show('one at a time')
  const alone = await learnedOf(mesh, await teach(sender, callers, samples, 'alone'))
  run.show(`beside ${BESIDE} known calls a second`)
  const stop = new AbortController()
  const stream = sendKnown(openSender(await controller.logPort()), Math.min(samples, callers.length), stop.signal)
  const beside = await learnedOf(mesh, await teach(sender, callers, samples, 'beside'))
  stop.abort()
  const besides = await stream
  run.show(`${callers.length} at once`)
  const burst = await learnedOf(mesh, await teachAll(sender, callers))
  const burstMs = Math.max(...burst.map(({ total }) => total))
  const floorBurstMs = await floorBurstOf(floor, callers)
  await checkSidecars(mesh, callers, [...['warm', 'alone', 'beside'].map((round) => [round, samples] as const), ['burst', callers.length]])
  await sender.end()
  await Promise.all([controller.stop(), floor.close()])

  const unit = 'ms'
  const of = (found: readonly Learned[], share: number, pick: (each: Learned) => number): number => percentile(found.map(pick), share)
  const rows = (what: string, found: readonly Learned[]): readonly Row[] => [
    { what: `${what}: median`, value: of(found, 0.5, (each) => each.total), unit, reference: { name: 'floor', value: median(floorMs) } },
    {
      what: `${what}: 99 %`,
      value: of(found, 0.99, (each) => each.total),
      unit,
      reference: { name: 'floor', value: percentile(floorMs, 0.99) },
    },
    { what: `${what}: median over the API calls`, value: of(found, 0.5, (each) => each.own), unit },
    { what: `${what}: 99 % over the API calls`, value: of(found, 0.99, (each) => each.own), unit, target: { most: 100 } },
  ]
  return {
    name: 'learn',
    title: 'A new host is called → the Sidecar has it',
    rows: [
      ...rows('one at a time', alone),
      { what: 'of it: message sent → the host reaches the API server, median', value: of(alone, 0.5, (each) => each.toStatus), unit },
      { what: 'of it: host stored → the Sidecar reaches the API server, median', value: of(alone, 0.5, (each) => each.toSidecar), unit },
      ...rows(`beside ${Math.round(besides / 1000)},000 known calls a second`, beside),
      {
        what: `${callers.length} callers with a new host each at once: until the last Sidecar is written`,
        value: burstMs,
        unit,
        reference: { name: 'floor', value: floorBurstMs },
      },
    ],
    bars: [
      {
        group: 'New host → Sidecar, median',
        unit,
        bars: [
          { name: 'floor', value: median(floorMs) },
          { name: 'lazyload', value: of(alone, 0.5, (each) => each.total) },
        ],
      },
      {
        group: 'New host → Sidecar, 99 %',
        unit,
        bars: [
          { name: 'floor', value: percentile(floorMs, 0.99) },
          { name: 'lazyload', value: of(alone, 0.99, (each) => each.total) },
        ],
      },
    ],
    notes: [
      `${samples} messages of one new host each at random moments, ${1000 / PAUSE_MS} a second. The floor: a bare client that stores the host in the status of the fence and then applies the Sidecar, at the same moments; all at once, eight at a time.`,
    ],
  }
}

async function createScene(mesh: Mesh, callers: readonly string[], { show }: Run): Promise<void> {
  await createServedNamespaces(mesh, [NAMESPACE])
  await mesh.createNamespaces([FLOOR_NAMESPACE])
  const slices = callers.map((name, index) => endpoints(NAMESPACE, name, [address(index)]))
  const services = callers.map((name) => service(NAMESPACE, name))
  await createAll(mesh, SERVICE, services, show)
  await createAll(mesh, ENDPOINT_SLICE, slices, show)
  for (const namespace of [NAMESPACE, FLOOR_NAMESPACE]) {
    const fences = callers.map((name) => fence(namespace, name))
    await createAll(mesh, SERVICE_FENCE, fences, show)
  }
}

/** The floor at the moments of `teach`: milliseconds for both writes. */
async function floorOf(floor: BareClient, callers: readonly string[], count: number): Promise<readonly number[]> {
  const found: Promise<number>[] = []
  const { random } = createChooser(1)
  for (let index = 0; index < count; index++) {
    const from = performance.now()
    found.push(writeBoth(floor, callers[index % callers.length]!, newHost('first', index)).then(() => performance.now() - from))
    await sleep(2 * PAUSE_MS * random())
  }
  return await Promise.all(found)
}

async function floorBurstOf(floor: BareClient, callers: readonly string[]): Promise<number> {
  return await floor.each(callers.map((name, index) => async () => await writeBoth(floor, name, newHost('burst', index))))
}

async function writeBoth(floor: BareClient, name: string, host: string): Promise<void> {
  await floor.send(learnedHost(FLOOR_NAMESPACE, name, host))
  await floor.send(sidecarApply(FLOOR_NAMESPACE, name, ANY_UID, [host]))
}

async function teach(sender: LogSender, callers: readonly string[], count: number, round: string): Promise<readonly Sample[]> {
  const samples: Sample[] = []
  const { random } = createChooser(1)
  for (let index = 0; index < count; index++) {
    const caller = index % callers.length
    const [message] = recordedMessages([{ address: address(caller), host: newHost(round, index) }], 1)
    samples.push({ caller: callers[caller]!, sentAt: now() })
    await sender.send(message!)
    await sleep(2 * PAUSE_MS * random())
  }
  return samples
}

async function teachAll(sender: LogSender, callers: readonly string[]): Promise<readonly Sample[]> {
  const messages = recordedMessages(
    callers.map((_, index) => ({ address: address(index), host: newHost('burst', index) })),
    25,
  )
  const sentAt = now()
  for (const message of messages) await sender.send(message)
  return callers.map((caller) => ({ caller, sentAt }))
}

/** Sends calls that so many callers have made in the round `warm`, until `signal` aborts; returns how many a second. */
async function sendKnown(sender: LogSender, callers: number, signal: AbortSignal): Promise<number> {
  const calls = Array.from({ length: callers }, (_, index) => ({ address: address(index), host: newHost('warm', index) }))
  const known = recordedMessages(calls, KNOWN_PER_MESSAGE)
  const startedAt = performance.now()
  let sent = 0
  while (!signal.aborted) {
    const due = ((performance.now() - startedAt) / 1000) * BESIDE
    for (; sent < due; sent += KNOWN_PER_MESSAGE) await sender.send(known[(sent / KNOWN_PER_MESSAGE) % known.length]!)
    await sleep(2)
  }
  await sender.end()
  return sent / ((performance.now() - startedAt) / 1000)
}

/** From the audit log: the two writes that follow each sample. */
async function learnedOf(mesh: Mesh, samples: readonly Sample[]): Promise<readonly Learned[]> {
  const since = new Date(Math.floor(Math.min(...samples.map(({ sentAt }) => sentAt))) - 1)
  const deadline = performance.now() + LIMIT_MS
  for (;;) {
    await sleep(1000)
    const writes = requestsOf(mesh, byController, since).all.filter(({ verb, code }) => verb === 'patch' && code < 300)
    const found = samples.map((sample) => learnedBy(sample, writes)).filter((learned) => learned !== undefined)
    if (found.length === samples.length) return found
    if (performance.now() > deadline) throw new Error(`${found.length} of ${samples.length} hosts reached their Sidecar`)
  }
}

function learnedBy({ caller, sentAt }: Sample, writes: readonly AuditEvent[]): Learned | undefined {
  const next = (plural: string): AuditEvent | undefined =>
    writes.find(({ resource, name, stageTimestamp }) => resource === plural && name === caller && stageTimestamp.getTime() >= sentAt)
  const [stored, applied] = [next(SERVICE_FENCE.plural), next(SIDECAR.plural)]
  if (stored === undefined || applied === undefined) return undefined
  const total = applied.stageTimestamp.getTime() - sentAt
  return {
    total,
    own: Math.max(0, total - callMs(stored) - callMs(applied)),
    toStatus: stored.requestReceivedTimestamp.getTime() - sentAt,
    // the watch may tell of the stored host before its own request is answered
    toSidecar: Math.max(0, applied.requestReceivedTimestamp.getTime() - stored.stageTimestamp.getTime()),
  }
}

function callMs({ requestReceivedTimestamp, stageTimestamp }: AuditEvent): number {
  return stageTimestamp.getTime() - requestReceivedTimestamp.getTime()
}

/** Throws unless every Sidecar has what its caller was taught in these rounds. */
async function checkSidecars(
  { client }: Mesh,
  callers: readonly string[],
  taught: readonly (readonly [round: string, count: number])[],
): Promise<void> {
  const { items } = await client.list(SIDECAR, { namespace: NAMESPACE })
  const found = new Map(items.map((sidecar) => [sidecar.metadata.name, new Set(hostsOf(sidecar))]))
  const missing = taught.flatMap(([round, count]) =>
    Array.from({ length: count }, (_, index) => newHost(round, index)).filter(
      (host, index) => found.get(callers[index % callers.length]!)?.has(`*/${host}`) !== true,
    ),
  )
  if (missing.length > 0) throw new Error(`${missing.length} hosts are in no Sidecar: ${missing.slice(0, 5).join(', ')}`)
}

function newHost(round: string, index: number): string {
  return hostOf('elsewhere', `${round}-${index}`)
}

/** Milliseconds since 1970, as exact as the clock is. */
function now(): number {
  return performance.timeOrigin + performance.now()
}
