/**
 * The floor: what any operator must at least send, from a client that thinks about nothing. Per SlimeBoot one finalizer, the
 * server-side applies of its objects, two status patches and one Event; eight requests in flight.
 */
import { EVENT, SLIMEBOOT, typeOf } from '../../operator/api/kinds.ts'
import { FIELD_MANAGER, FINALIZER } from '../../operator/api/slimeboot.ts'
import type { KubeObject } from '../../runtime/object.ts'
import { collectionPath, objectPath, refOf } from '../../runtime/resource.ts'
import { createBareClient, type Send } from './bare-client.ts'
import { objectsOf } from './boots.ts'
import type { Stage } from './stage.ts'

export interface Floor {
  readonly ms: number
  readonly requests: number
}

const JSON_PATCH = 'application/json-patch+json'

/** Sends it for SlimeBoots that are there. `without` leaves objects out. */
export async function runFloor(
  stage: Stage,
  boots: readonly KubeObject[],
  without: (object: KubeObject) => boolean = () => false,
): Promise<Floor> {
  const sends = boots.flatMap((boot) =>
    sendsOf(
      boot,
      objectsOf(boot).filter((object) => !without(object)),
    ),
  )
  const client = await createBareClient(stage, stage.operatorToken)
  const ms = await client.each(sends.map((send) => async () => await client.send(send)))
  await client.close()
  return { ms, requests: sends.length }
}

function sendsOf(boot: KubeObject, objects: readonly KubeObject[]): readonly Send[] {
  const ref = refOf(SLIMEBOOT, boot)
  const patch = (subresource: string | undefined, path: string, value: unknown): Send => ({
    method: 'PATCH',
    path: `${objectPath(ref, subresource)}?fieldManager=${FIELD_MANAGER}`,
    type: JSON_PATCH,
    body: JSON.stringify([{ op: 'add', path, value }]),
  })
  const applies = objects.map((object): Send => ({
    method: 'PATCH',
    path: `${objectPath(refOf(typeOf(object), object))}?fieldManager=${FIELD_MANAGER}&force=true`,
    type: 'application/apply-patch+yaml',
    body: JSON.stringify(object),
  }))
  return [
    patch(undefined, '/metadata/finalizers', [FINALIZER]),
    ...applies,
    patch('status', '/status', statusOf(boot, 'False', 'Progressing')),
    eventOf(boot, objects),
    patch('status', '/status', statusOf(boot, 'True', 'Ready')),
  ]
}

function statusOf(boot: KubeObject, status: string, reason: string): unknown {
  const condition = {
    status,
    reason,
    message: `${reason}: as the operator would say it, in some words`,
    lastTransitionTime: '2026-01-01T00:00:00Z',
    observedGeneration: 1,
  }
  return {
    observedGeneration: 1,
    conditions: ['Ready', 'Reconciling', 'Stalled'].map((type) => ({ type, ...condition })),
    mode: 'none',
    modules: [boot.metadata.name],
    moduleNames: boot.metadata.name,
    objects: { total: 6, ready: 6 },
  }
}

function eventOf(boot: KubeObject, objects: readonly KubeObject[]): Send {
  const { name, namespace = '' } = boot.metadata
  const at = new Date().toISOString().replace(/\.\d+Z$/, 'Z')
  const event = {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { generateName: `${name}.`, namespace },
    involvedObject: { apiVersion: boot.apiVersion, kind: boot.kind, name, namespace },
    type: 'Normal',
    reason: 'Applied',
    message: `${objects.length} created`,
    firstTimestamp: at,
    lastTimestamp: at,
    count: 1,
    source: { component: 'bench-floor' },
  }
  return { method: 'POST', path: collectionPath(EVENT, namespace), type: 'application/json', body: JSON.stringify(event) }
}
