/** The SlimeBoots that are served: one informer for all namespaces, or one for each, behind one lookup. */
import { isDeepStrictEqual } from 'node:util'
import type { Client } from '../../runtime/client.ts'
import { type ChangeSource, createInformer, type InformerOptions } from '../../runtime/informer.ts'
import { keyOf, type KubeObject } from '../../runtime/object.ts'
import { SLIMEBOOT } from '../api/kinds.ts'
import { FINALIZER } from '../api/slimeboot.ts'
import { ownerOfKey } from '../apply/ownership.ts'

export interface SlimeBootChange {
  readonly exists: boolean
  /** Something has changed that a reconcile reads. */
  readonly isNews: boolean
}

export interface SlimeBootsOptions {
  readonly client: Pick<Client, 'list' | 'watch'>
  /** Empty for all. */
  readonly watchNamespaces: readonly string[]
  readonly selector: string | undefined
  /** After every change of the cache. Must not throw and must not wait. */
  readonly onChange: (key: string, change: SlimeBootChange) => void
  readonly onProblem: InformerOptions['onProblem'] & {}
}

export function createSlimeBoots({ client, watchNamespaces, selector, onChange, onProblem }: SlimeBootsOptions) {
  const namespaces: readonly (string | undefined)[] = watchNamespaces.length === 0 ? [undefined] : watchNamespaces
  const informers = namespaces.map((namespace) =>
    createInformer({ client, type: SLIMEBOOT, namespace, labelSelector: selector, transform: withoutManagers, onChange: index, onProblem }),
  )
  /** By owner label. */
  const keys = new Map<string, string>()

  function index(previous: KubeObject | undefined, current: KubeObject | undefined, source: ChangeSource): void {
    const boot = current ?? previous
    if (boot === undefined) return
    const key = keyOf(boot)
    if (current === undefined) keys.delete(ownerOfKey(key).label)
    else keys.set(ownerOfKey(key).label, key)
    const isSame = previous !== undefined && current !== undefined && isSameToReconcile(previous, current, source)
    onChange(key, { exists: current !== undefined, isNews: !isSame })
  }

  return {
    informers,
    get: (key: string): KubeObject | undefined => informers.map((informer) => informer.get(key)).find((boot) => boot !== undefined),
    all: (): readonly KubeObject[] => informers.flatMap((informer) => [...informer.values()]),
    /** Key of the SlimeBoot whose objects carry this label. */
    keyOfLabel: (label: string): string | undefined => keys.get(label),
    /** Takes in the answer of a write, so that the next reconcile sees it before its watch event comes. */
    record: (boot: KubeObject): void => informers.find((informer) => informer.get(keyOf(boot)) !== undefined)?.record(boot),
  }
}

/**
 * Status and labels change nothing that a reconcile reads. The answer to a write of ours counts like an event: it carries what others
 * have changed since, whose own event is older then and passed over; only the finalizer that we set ourselves is no news.
 */
function isSameToReconcile(previous: KubeObject, current: KubeObject, source: ChangeSource): boolean {
  const [before, now] = [previous.metadata, current.metadata]
  const isOurFinalizer = source === 'write' && now.finalizers?.includes(FINALIZER) === true
  return (
    before.uid === now.uid &&
    before.generation === now.generation &&
    before.deletionTimestamp === now.deletionTimestamp &&
    isDeepStrictEqual(before.annotations, now.annotations) &&
    (isOurFinalizer || isDeepStrictEqual(before.finalizers, now.finalizers))
  )
}

/** Nobody reads who wrote which field of a SlimeBoot. */
function withoutManagers(boot: KubeObject): KubeObject {
  const { managedFields: _, ...metadata } = boot.metadata
  return { ...boot, metadata }
}
