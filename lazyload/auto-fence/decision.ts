/** Which Services are to be fenced, by the labels on them and on their namespaces (spec 4). Pure. */
import type { KubeObject } from '../../runtime/object.ts'
import { GLOBAL_SIDECAR } from '../kinds.ts'
import { selectorOf } from '../mesh/known-hosts.ts'
import type { AutoFenceConfig } from '../../module/config.ts'
import { matchesSelector } from '../../module/label-selector.ts'

export const FENCED_LABEL = 'slime.io/serviceFenced'
export const CREATED_BY_LABEL = 'app.kubernetes.io/created-by'
export const CREATED_BY = 'fence-controller'
/** Which module made a fence: `namespace/name` of its Deployment. */
export const MODULE_ANNOTATION = 'slime.io/created-by-module'

export interface DecisionOptions extends Omit<AutoFenceConfig, 'enabled' | 'graceMs'> {
  /** Namespaces of the system itself, in which nothing is fenced: Istio's, ours, Kubernetes' own. */
  readonly system: ReadonlySet<string>
}

/** Everything is fenced that any configuration of a module could ask for. */
export const ANY_CONFIGURATION: DecisionOptions = {
  defaultFence: true,
  included: [],
  excluded: [],
  selectors: undefined,
  system: new Set(),
}

/** `no` is somebody's word, in a label or in the configuration; `unasked` is only that nothing asks for a fence, perhaps for a moment. */
export type Verdict = 'yes' | 'no' | 'unasked'

/** The label of the Service before that of its namespace; any other value than true and false says nothing. */
export function isFenced(serviceLabel: string | undefined, namespaceLabel: string | undefined, defaultFence = false): Verdict {
  for (const label of [serviceLabel, namespaceLabel]) {
    if (label === 'true') return 'yes'
    if (label === 'false') return 'no'
  }
  return defaultFence ? 'yes' : 'unasked'
}

/**
 * Is there to be a fence for `service`? Never for one without a selector (no pods of it could be meant), for a
 * global-sidecar (it must know everything), in the system's namespaces, or in one that the configuration leaves out.
 */
export function verdictOn(service: KubeObject, namespace: KubeObject, options: DecisionOptions): Verdict {
  const { name } = service.metadata
  const selector = selectorOf(service)
  if (name === GLOBAL_SIDECAR || isLeftOut(namespace.metadata.name, options)) return 'no'
  if (selector === undefined || Object.keys(selector).length === 0 || !isSelected(namespace, options)) return 'unasked'
  return isFenced(service.metadata.labels?.[FENCED_LABEL], namespace.metadata.labels?.[FENCED_LABEL], options.defaultFence)
}

function isLeftOut(namespace: string, { system, included, excluded }: DecisionOptions): boolean {
  return system.has(namespace) || excluded.includes(namespace) || (included.length > 0 && !included.includes(namespace))
}

function isSelected({ metadata: { labels = {} } }: KubeObject, { selectors }: DecisionOptions): boolean {
  return selectors === undefined || selectors.some((selector) => matchesSelector(selector, labels))
}

/** True for a fence that labels made on behalf of another module. One without that mark is of 1.0.0 or of nobody: then ours decides. */
export function isOfOtherModule(fence: KubeObject, module: string): boolean {
  return (fence.metadata.annotations?.[MODULE_ANNOTATION] ?? module) !== module
}

/** True for a fence that labels made, as long as it says so: without this label it is the user's, with it ours. */
export function isAutoFence(fence: KubeObject): boolean {
  return fence.metadata.labels?.[CREATED_BY_LABEL] === CREATED_BY
}
