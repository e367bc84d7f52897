/** A namespace with 1,000 Services gets the label → as many fences, Sidecars and statuses, against a bare client that sends the same. */
import { FENCED_LABEL } from '../../lazyload/auto-fence/decision.ts'
import { NAMESPACE, SERVICE } from '../../lazyload/kinds.ts'
import { type BareClient, createBareClient } from '../harness/bare-client.ts'
import { names } from '../harness/boots.ts'
import { median } from '../harness/numbers.ts'
import type { Result } from '../harness/report.ts'
import { lastAnswer, requestsOf, untilWritten } from '../harness/requests.ts'
import type { Run } from '../harness/run.ts'
import { byBench } from '../harness/stage.ts'
import { cpuSeconds } from '../harness/usage.ts'
import { byController, type Controller, type Mesh, setMesh, startController } from './harness/controller.ts'
import { createOf, readyStatus, sidecarApply } from './harness/floor.ts'
import { createAll, createServedNamespaces, fence, service } from './harness/objects.ts'
import { untilAtRest } from './harness/rest.ts'

const SERVICES = 1000
const ROUNDS = 3
/** A fence, its Sidecar, its status. */
const WRITES = 3

interface Round {
  readonly floorMs: number
  /** Namespace labelled → last write. */
  readonly ms: number
  readonly requests: number
  readonly cpuSeconds: number
}

export async function label(run: Run): Promise<Result> {
  await using mesh = await setMesh('label')
  const services = names('service', run.size(SERVICES))
  const rounds = names('app', ROUNDS)
  await createServedNamespaces(mesh, rounds)
  await mesh.createNamespaces(rounds.map(floorOf))
  for (const namespace of rounds) {
    const objects = services.map((name) => service(namespace, name))
    await createAll(mesh, SERVICE, objects, run.show)
  }
  const floor = await createBareClient(mesh, mesh.controllerToken)
  // the floor's fences are not served
  const controller = await startController(mesh, rounds)
  await controller.listeningAt()
  await untilAtRest(mesh, byController)
  const found: Round[] = []
  for (const [index, namespace] of rounds.entries()) {
    run.show(`round ${index + 1} of ${ROUNDS}: the floor`)
    const floorMs = await floor.each(services.map((name) => async () => await writeThree(floor, floorOf(namespace), name)))
    run.show(`round ${index + 1} of ${ROUNDS}: the controller`)
    await untilAtRest(mesh, byController)
    found.push({ floorMs, ...(await labelOne(mesh, controller, namespace, services.length, run)) })
  }
  await Promise.all([controller.stop(), floor.close()])

  const of = (pick: (round: Round) => number): number => median(found.map(pick))
  const [seconds, floorSeconds] = [of(({ ms }) => ms) / 1000, of(({ floorMs }) => floorMs) / 1000]
  const count = services.length
  return {
    name: 'label',
    title: `A namespace with ${count} Services is labelled`,
    rows: [
      {
        what: `labelled → ${count} fences, ${count} Sidecars, ${count} statuses`,
        value: seconds,
        unit: 's',
        reference: { name: 'floor', value: floorSeconds },
        target: { most: 2 },
      },
      { what: 'requests', value: of(({ requests }) => requests), unit: 'requests', reference: { name: 'floor', value: WRITES * count } },
      { what: 'CPU time', value: of((round) => round.cpuSeconds), unit: 's' },
    ],
    bars: [
      {
        group: `${count} Services labelled`,
        unit: 's',
        bars: [
          { name: 'floor', value: floorSeconds },
          { name: 'lazyload', value: seconds },
        ],
      },
    ],
    notes: [
      `Median of ${ROUNDS} rounds, the floor and the controller in turn, each in a namespace of its own. The floor: a bare client with eight requests in flight that creates the fence, applies the Sidecar and patches the status.`,
    ],
  }
}

async function labelOne(
  mesh: Mesh,
  { pid }: Controller,
  namespace: string,
  count: number,
  { show }: Run,
): Promise<Pick<Round, 'ms' | 'requests' | 'cpuSeconds'>> {
  const since = new Date()
  const before = cpuSeconds(pid)
  await mesh.client.mergePatch(
    { type: NAMESPACE, name: namespace, namespace: undefined },
    { metadata: { labels: { [FENCED_LABEL]: 'true' } } },
    'bench',
  )
  const { work, objects } = await untilWritten(mesh, byController, since, WRITES * count, 300_000, (written) =>
    show(`${written} of ${WRITES * count} writes`),
  )
  const labelled = requestsOf(mesh, byBench, since).all.find(({ resource, verb }) => resource === 'namespaces' && verb === 'patch')!
  return {
    ms: lastAnswer(objects) - labelled.stageTimestamp.getTime(),
    requests: work.length,
    cpuSeconds: cpuSeconds(pid) - before,
  }
}

async function writeThree(floor: BareClient, namespace: string, name: string): Promise<void> {
  const stored = JSON.parse(await floor.send(createOf(fence(namespace, name)))) as { readonly metadata: { readonly uid: string } }
  await floor.send(sidecarApply(namespace, name, stored.metadata.uid, []))
  await floor.send(readyStatus(namespace, name))
}

function floorOf(namespace: string): string {
  return `floor-${namespace}`
}
