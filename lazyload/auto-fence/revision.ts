/** For which revision of Istio a fence made by labels is: its namespace says so, else the configuration. Pure. */
import { REVISION_LABEL } from '../kinds.ts'
import type { KubeObject } from '../../runtime/object.ts'
import { labelledRevision } from '../fence/scope.ts'
import type { Revisions } from '../mesh/revisions.ts'

/** The label `istio.io/rev` that a fence is to have; `another`: its namespace belongs to a revision that we do not serve. */
export type WantedRevision =
  | { readonly kind: 'any' | 'another' }
  | { readonly kind: 'one'; readonly name: string; readonly saidBy: 'namespace' | 'configuration' }

/** `served`: what the configuration says, revisions or tags; empty: all. */
export function wantedRevision(
  served: readonly string[],
  { resolve }: Pick<Revisions, 'resolve'>,
  home: KubeObject,
  fence: KubeObject | undefined,
): WantedRevision {
  const [first] = served
  if (first === undefined) return { kind: 'any' }
  const said = labelledRevision(home)
  if (said !== '') {
    const { name, is } = resolve(said)
    const fitting = served.find((each) => each === said) ?? served.find((each) => resolve(each).name === name)
    if (fitting !== undefined) return { kind: 'one', name: fitting, saidBy: 'namespace' }
    // a name that nobody knows may be a tag of ours that cannot be seen
    if (is !== 'unknown' || (fence !== undefined && labelledRevision(fence) === said)) return { kind: 'another' }
  }
  return { kind: 'one', name: first, saidBy: 'configuration' }
}

/** The label that `fence` is to get; undefined: it keeps what it has. `isOurs`: no other controller serves it. */
export function revisionToFollow(
  wanted: WantedRevision,
  { resolve }: Pick<Revisions, 'resolve'>,
  fence: KubeObject,
  { inScope, isOurs }: { readonly inScope: boolean; readonly isOurs: boolean },
): string | undefined {
  const label = labelledRevision(fence)
  if (wanted.kind !== 'one' || wanted.name === label) return undefined
  // every control plane reads the Sidecar of a fence without a revision
  if (inScope && label === '') return undefined
  if (wanted.saidBy === 'namespace') return inScope && resolve(label).name === resolve(wanted.name).name ? undefined : wanted.name
  return inScope || !isOurs ? undefined : wanted.name
}

/** As a patch of its metadata; refused where somebody has changed the fence meanwhile. */
export function relabelled({ metadata: { resourceVersion } }: KubeObject, revision: string): object {
  return { metadata: { ...(resourceVersion === undefined ? {} : { resourceVersion }), labels: { [REVISION_LABEL]: revision } } }
}
