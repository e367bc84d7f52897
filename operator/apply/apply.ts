/** Apply: brings one object to what is desired, with as few writes as the API server allows. */
import type { Client, JsonPatchOperation } from '../../runtime/client.ts'
import { identityOf, objectId, type KubeObject } from '../../runtime/object.ts'
import { ApiError, hasCode } from '../../runtime/errors.ts'
import { refOf } from '../../runtime/resource.ts'
import { HORIZONTAL_POD_AUTOSCALER, typeOf } from '../api/kinds.ts'
import { FIELD_MANAGER } from '../api/slimeboot.ts'
import { specPathOf } from '../render/spec-path.ts'
import { type Contests, DELETIONS } from '../../runtime/contest.ts'
import { type Difference, differences } from './difference.ts'
import { failureOf, ReconcileError } from './failure.ts'
import { takeFields } from './helm/managed-fields.ts'
import type { Live } from './live.ts'
import type { NormalForms } from './normal-form.ts'
import { appliedHash, managersOf, marksOff } from './ownership.ts'
import type { Step } from './plan.ts'

export interface Change {
  /** `Kind/namespace/name` */
  readonly object: string
  readonly action: 'created' | 'configured' | 'repaired' | 'unchanged' | 'deleted' | 'contested' | 'withdrawn'
  /** JSON pointers of the fields that differed. */
  readonly fields: readonly string[]
  /** Fields that the API server or a webhook keeps otherwise than desired. */
  readonly mutated: readonly string[]
  /** Contested: who writes it too (nobody tells who deletes), and when it is tried again. */
  readonly contest?: { readonly managers: string | undefined; readonly retryMs: number }
}

export interface ApplyDependencies {
  readonly client: Client
  readonly live: Pick<Live, 'record' | 'forget'>
  readonly contests: Contests
  readonly normalForms: NormalForms
}

/** Executes one step of a plan. Throws ReconcileError. */
export async function applyStep({ client, live, contests, normalForms }: ApplyDependencies, step: Step): Promise<Change> {
  const { desired, manifest } = step
  const object = objectId(desired)
  const type = typeOf(desired)
  const hash = appliedHash(desired)
  let found = step.differences
  const unchanged: Change = { object, action: 'unchanged', fields: [], mutated: normalForms.fields(desired) }
  if (step.action === 'none') return unchanged

  try {
    if (step.live !== undefined && found.some(isReplicas) && (await hasAutoscaler(client, desired))) {
      normalForms.autoscaled(desired)
      found = found.filter((difference) => !isReplicas(difference))
      if (found.length === 0) return unchanged
    }
    const subject = `${identityOf(desired)} ${step.live === undefined ? 'deleted' : found.map(({ path }) => path).join(' ')}`
    if (step.action !== 'change') {
      const waitMs = contests.waitMs(subject, hash)
      if (waitMs > 0)
        return {
          ...unchanged,
          action: 'contested',
          fields: found.map(({ path }) => path),
          contest: { managers: step.live === undefined ? undefined : managersOf(step.live), retryMs: waitMs },
        }
    }

    const taken = step.takenOver && step.live !== undefined ? takeFields(step.live) : undefined
    if (taken !== undefined) await client.jsonPatch(refOf(type, desired), taken, FIELD_MANAGER)
    let answer = step.live
    if (answer === undefined || found.some(({ type: kind }) => kind === 'missing')) answer = await applyOrRecreate(step)
    if (step.action === 'create' && writtenByOthers(answer)) throw await giveBack(answer)
    let rest = settledDifferences(answer)
    const extras = rest.filter(({ type: kind }) => kind === 'extra')
    if (extras.length > 0) {
      answer = await client.jsonPatch(refOf(type, answer), removals(answer, extras), FIELD_MANAGER)
      rest = settledDifferences(answer)
    }
    live.record(answer)
    if (rest.length > 0) normalForms.remember(desired, answer, rest)
    // as after a restart: it was in its normal form already
    if (answer.metadata.resourceVersion === step.live?.metadata.resourceVersion)
      return { ...unchanged, mutated: normalForms.fields(desired) }
    if (step.action === 'repair') contests.repaired(subject, hash)
    if (step.action === 'create') contests.repaired(subject, hash, DELETIONS)
    return {
      object,
      action: step.action === 'create' ? 'created' : step.action === 'repair' ? 'repaired' : 'configured',
      fields: found.map(({ path }) => path),
      mutated: rest.map(({ path }) => path),
    }
  } catch (error) {
    throw failureOf(error, 'apply', desired, (path) => specPathOf(manifest, path))
  }

  function settledDifferences(answer: KubeObject): readonly Difference[] {
    return normalForms.withoutAutoscaled(desired, differences(desired, answer))
  }

  /** A binding's roleRef cannot be changed: such a binding is made anew at once. */
  async function applyOrRecreate(current: Step): Promise<KubeObject> {
    const body = withUid(normalForms.withoutReplicas(current.desired, current.live), current.live)
    try {
      return await client.apply(type, body, { fieldManager: FIELD_MANAGER })
    } catch (error) {
      const immutable = error instanceof ApiError && error.code === 422 && found.some(({ path }) => path.startsWith('/roleRef'))
      if (!immutable || current.live === undefined) throw error
      const { uid, resourceVersion } = current.live.metadata
      await client.remove(refOf(type, current.live), { uid, resourceVersion })
      live.forget(current.live)
      return await client.apply(type, current.desired, { fieldManager: FIELD_MANAGER })
    }
  }

  /** Somebody created it between our read and our write: our marks come off, and the next look finds it foreign. */
  async function giveBack(answer: KubeObject): Promise<ReconcileError> {
    await client.jsonPatch(refOf(type, answer), marksOff(answer), FIELD_MANAGER)
    const message = `${object} was created by ${managersOf(answer, FIELD_MANAGER)} at the same moment. Delete or rename it, or set annotation config.netease.com/adopt: "true" to take it over.`
    return new ReconcileError('Conflict', message, 'heals', { objects: [object] })
  }
}

/** With the live object's uid as precondition: an object that was made anew by somebody else meanwhile is refused with 409. */
function withUid(body: KubeObject, live: KubeObject | undefined): KubeObject {
  return live?.metadata.uid === undefined ? body : { ...body, metadata: { ...body.metadata, uid: live.metadata.uid } }
}

/** A new object has no manager but us; the API server counts what webhooks add as ours. */
function writtenByOthers(answer: KubeObject): boolean {
  return (answer.metadata.managedFields ?? []).some((entry) => entry.manager !== FIELD_MANAGER && (entry.subresource ?? '') === '')
}

/** JSON patch that takes away what is too much, refused when the object has changed since. */
function removals(live: KubeObject, extras: readonly Difference[]): readonly JsonPatchOperation[] {
  const test: JsonPatchOperation = { op: 'test', path: '/metadata/resourceVersion', value: live.metadata.resourceVersion }
  // from the end, so that removing an element does not move those that follow
  const ordered = [...extras].sort((a, b) => comparePointers(b.path, a.path))
  return [
    test,
    ...ordered.map(({ path, desired }): JsonPatchOperation =>
      desired === undefined ? { op: 'remove', path } : { op: 'replace', path, value: desired },
    ),
  ]
}

function comparePointers(a: string, b: string): number {
  const left = a.split('/')
  const right = b.split('/')
  for (let index = 0; index < Math.max(left.length, right.length); index++) {
    const x = left[index] ?? ''
    const y = right[index] ?? ''
    if (x === y) continue
    const numeric = Number(x) - Number(y)
    return Number.isNaN(numeric) ? (x < y ? -1 : 1) : numeric
  }
  return 0
}

function isReplicas(difference: Difference): boolean {
  return difference.path === '/spec/replicas'
}

async function hasAutoscaler(client: Client, deployment: KubeObject): Promise<boolean> {
  if (deployment.kind !== 'Deployment') return false
  try {
    const { items } = await client.list(HORIZONTAL_POD_AUTOSCALER, { namespace: deployment.metadata.namespace })
    return items.some((item) => {
      const target = (item['spec'] as { scaleTargetRef?: { kind?: string; name?: string } } | undefined)?.scaleTargetRef
      return target?.kind === 'Deployment' && target.name === deployment.metadata.name
    })
  } catch (error) {
    if (hasCode(error, 404)) return false
    throw error
  }
}
