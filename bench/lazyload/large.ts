/** A large mesh: memory, start, writes and CPU of a controller that finds everything as it was. */
import { setTimeout as sleep } from 'node:timers/promises'
import { ENDPOINT_SLICE, SERVICE, SERVICE_FENCE } from '../../lazyload/kinds.ts'
import { names } from '../harness/boots.ts'
import type { Result } from '../harness/report.ts'
import { requestsOf } from '../harness/requests.ts'
import type { Run } from '../harness/run.ts'
import { cpuSeconds, peakMiB, restingMiB } from '../harness/usage.ts'
import { byController, type Controller, type Mesh, setMesh, startController } from './harness/controller.ts'
import { address, createAll, createServedNamespaces, endpoints, fence, hostOf, service } from './harness/objects.ts'
import { recordedMessages } from './harness/recording.ts'
import { untilAtRest } from './harness/rest.ts'
import { openSender } from './harness/sender.ts'

const SERVICES = 10_000
const FENCES = 2000
const ADDRESSES_PER_SERVICE = 2
/** Namespaces that share the Services. */
const NAMESPACES = 50
/** Dependencies of a fence: so many that it names, so many that it has learned. */
const NAMED = 3
const LEARNED = 7
const LOOK_MS = 20
const REST_MS = 15_000

interface Place {
  readonly namespace: string
  readonly name: string
  readonly index: number
}

export async function large(run: Run): Promise<Result> {
  await using stage = await setMesh('large')
  const services = run.size(SERVICES)
  const fences = run.size(FENCES)
  const empty = await restingOf(stage, run)
  const places = await createScene(stage, services, fences, run)

  run.show('the first start')
  const first = await startController(stage)
  const firstSince = new Date()
  await first.listeningAt()
  await untilAtRest(stage, byController)
  const writesOfFirst = requestsOf(stage, byController, firstSince).objects.length
  run.show('learning')
  await teach(first, places, fences)
  await untilAtRest(stage, byController)
  const afterWork = await restingMiB(first.pid, REST_MS)
  await first.stop()

  run.show('starting again')
  const since = new Date()
  const controller = await startController(stage)
  const readyMs = await untilReady(controller)
  const listeningMs = (await controller.listeningAt()) - controller.startedAt
  await untilAtRest(stage, byController)
  const startCpu = cpuSeconds(controller.pid)
  const peak = peakMiB(controller.pid)
  const resting = await restingMiB(controller.pid, REST_MS)
  run.show(`idle for ${run.idleSeconds} s`)
  const before = cpuSeconds(controller.pid)
  await sleep(run.idleSeconds * 1000)
  const idleCpu = ((cpuSeconds(controller.pid) - before) / run.idleSeconds) * 100
  const { objects, work } = requestsOf(stage, byController, since)
  await controller.stop()

  return {
    name: 'large',
    title: `${services} Services with ${services * ADDRESSES_PER_SERVICE} endpoints, ${fences} fences`,
    rows: [
      { what: 'memory at rest', value: resting, unit: 'MiB', target: { most: 250 } },
      {
        what: 'the same, over an empty cluster',
        value: resting,
        unit: 'MiB',
        reference: { name: 'empty', value: empty },
        by: 'difference',
      },
      { what: `memory at rest after ${writesOfFirst} first writes and ${fences * LEARNED} learned hosts`, value: afterWork, unit: 'MiB' },
      { what: 'most memory during the start', value: peak, unit: 'MiB' },
      { what: 'process start → /modules/readyz says yes', value: readyMs / 1000, unit: 's', target: { most: 5 } },
      { what: 'process start → access logs are received', value: listeningMs / 1000, unit: 's' },
      { what: 'CPU time until everything is compared', value: startCpu, unit: 's' },
      { what: 'writes when nothing has changed', value: objects.length, unit: 'writes', target: { most: 0 } },
      { what: 'requests but watches and the Lease', value: work.length, unit: 'requests' },
      { what: `CPU when idle for ${run.idleSeconds} s`, value: idleCpu, unit: '% of a core', target: { most: 0.5 } },
    ],
    bars: [
      {
        group: `Memory with ${services} Services, ${fences} fences`,
        unit: 'MiB',
        bars: [
          { name: 'empty cluster', value: empty },
          { name: 'lazyload', value: resting },
        ],
      },
    ],
    notes: [
      `In ${NAMESPACES} namespaces; each fence has ${NAMED} hosts in its spec and has learned ${LEARNED}.`,
      ...objects.slice(0, 5).map(({ verb, requestURI }) => `wrote: ${verb} ${requestURI}`),
    ],
  }
}

/** Memory of a controller that has nothing to do. */
async function restingOf(stage: Mesh, { show }: Run): Promise<number> {
  show('an empty cluster')
  const controller = await startController(stage)
  await controller.listeningAt()
  const mib = await restingMiB(controller.pid, REST_MS)
  await controller.stop()
  return mib
}

async function createScene(stage: Mesh, services: number, fences: number, { show }: Run): Promise<readonly Place[]> {
  await createServedNamespaces(stage, names('app', NAMESPACES))
  const places = names('service', services).map((name, index) => ({ name, namespace: `app-${index % NAMESPACES}`, index }))
  const slices = places.map(({ namespace, name, index }) => endpoints(namespace, name, addressesOf(index)))
  const fenced = places.slice(0, fences).map((place) => {
    const hosts = others(place, places, 0, NAMED)
    return fence(place.namespace, place.name, hosts)
  })
  const all = places.map(({ namespace, name }) => service(namespace, name))
  await createAll(stage, SERVICE, all, show)
  await createAll(stage, ENDPOINT_SLICE, slices, show)
  await createAll(stage, SERVICE_FENCE, fenced, show)
  return places
}

async function teach(controller: Controller, places: readonly Place[], fences: number): Promise<void> {
  const calls = places
    .slice(0, fences)
    .flatMap((place) => others(place, places, NAMED, NAMED + LEARNED).map((host) => ({ address: addressesOf(place.index)[0]!, host })))
  const sender = openSender(await controller.logPort())
  for (const message of recordedMessages(calls, 25)) await sender.send(message)
  await sender.end()
}

/** Hosts of Services somewhere else. */
function others({ index }: Place, places: readonly Place[], from: number, to: number): readonly string[] {
  return Array.from({ length: to - from }, (_, offset) => {
    const { namespace, name } = places[(index * 31 + (from + offset + 1) * 577) % places.length]!
    return hostOf(namespace, name)
  })
}

function addressesOf(index: number): readonly string[] {
  return Array.from({ length: ADDRESSES_PER_SERVICE }, (_, each) => address(index * ADDRESSES_PER_SERVICE + each))
}

/** Milliseconds from the start of the process until it says that it is ready. */
async function untilReady(controller: Controller): Promise<number> {
  for (;;) {
    const { status } = await controller.get('/modules/readyz')
    if (status === 200) return Date.now() - controller.startedAt
    await sleep(LOOK_MS)
  }
}
