/** A ServiceFence as it is stored (spec 1): every field may be absent or null, older controllers wrote other spellings. */
import type { KubeObject } from '../../runtime/object.ts'
import type { KeepScope } from '../../module/settings.ts'
import { isKeepScope } from '../keep/reasons.ts'
import type { KeptStatus } from './kept.ts'

/** Seconds may come as text: int64 in JSON of protobuf. */
export interface Timestamp {
  readonly seconds?: number | string | null
  readonly nanos?: number | null
}

export interface RecyclingStrategy {
  readonly stable?: object | null
  readonly deadline?: { readonly expire?: Timestamp | null } | null
  readonly auto?: { readonly duration?: Timestamp | null } | null
  readonly RecentlyCalled?: Timestamp | null
}

export interface FenceSpec {
  readonly enable?: boolean | null
  /** Which hosts stay without having been learned; absent: as the module says. */
  readonly keep?: KeepScope | null
  readonly host?: Readonly<Record<string, RecyclingStrategy | null>> | null
  readonly namespaceSelector?: readonly string[] | null
  readonly labelSelector?: readonly { readonly selector?: Readonly<Record<string, string>> | null }[] | null
  readonly workloadSelector?: {
    readonly labels?: Readonly<Record<string, string>> | null
    readonly fromService?: boolean | null
  } | null
}

export type DomainState = 'ACTIVE' | 'EXPIRE' | 'EXPIREWAIT'

/** Where a domain comes from: `spec.host`, the selectors of the fence, or learned. */
export type DomainSource = 'host' | 'namespaceSelector' | 'labelSelector' | 'accesslog' | 'prometheus'

/** One entry of `status.domains`. */
export interface Domain {
  /** The domain itself, then where its VirtualServices route to; for `ns/*` only the latter. */
  readonly hosts: readonly string[]
  readonly status: DomainState
  readonly source?: DomainSource
  /** RFC 3339: when it was first seen in what was learned. */
  readonly learnedAt?: string
  /** RFC 3339: the first query that it was missing from, while it is EXPIREWAIT. */
  readonly missingSince?: string
}

export type Domains = Readonly<Record<string, Domain>>

export interface FenceCondition {
  readonly type: string
  readonly status: 'True' | 'False' | 'Unknown'
  readonly reason: string
  readonly message: string
  readonly observedGeneration?: number
  readonly lastTransitionTime?: string
}

export interface FenceStatus {
  readonly observedGeneration?: number
  readonly conditions?: readonly FenceCondition[] | null
  /** The module that wrote the conditions last: `namespace/name`. */
  readonly servedBy?: string | null
  readonly hosts?: number
  readonly kept?: KeptStatus | null
  readonly lastLearned?: string
  readonly domains?: Readonly<Record<string, StoredDomain | null>> | null
  readonly metricStatus?: Readonly<Record<string, string | number | null>> | null
}

/** As any controller may have written it: the state absent for ACTIVE, a number, or a name. */
export interface StoredDomain {
  readonly hosts?: readonly string[] | null
  readonly status?: number | string | null
  readonly source?: DomainSource
  readonly learnedAt?: string
  readonly missingSince?: string
}

const STATES: readonly DomainState[] = ['ACTIVE', 'EXPIRE', 'EXPIREWAIT']

/** What has another type than it should, which only an older, looser CRD let pass, counts as null. */
export function specOf(fence: KubeObject): FenceSpec {
  const spec: unknown = fence['spec'] ?? {}
  if (!isMap(spec)) return {}
  const wrong = PARTS.filter(([part, isRight]) => spec[part] !== undefined && spec[part] !== null && !isRight(spec[part]))
  return wrong.length === 0 ? spec : { ...spec, ...Object.fromEntries(wrong.map(([part]) => [part, null])) }
}

const isMap = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const PARTS = Object.entries({
  keep: isKeepScope,
  host: isMap,
  namespaceSelector: Array.isArray,
  labelSelector: Array.isArray,
  workloadSelector: isMap,
})

export function statusOf(fence: KubeObject): FenceStatus {
  return fence['status'] ?? {}
}

export function isEnabled(fence: KubeObject): boolean {
  return specOf(fence).enable === true
}

/** `status.domains` in one spelling; a state that nobody knows counts as ACTIVE. */
export function domainsOf(fence: KubeObject): Domains {
  const stored = Object.entries(statusOf(fence).domains ?? {})
  return Object.fromEntries(stored.flatMap(([host, domain]) => (domain === null ? [] : [[host, readDomain(domain)]])))
}

function readDomain({ hosts, status, ...rest }: StoredDomain): Domain {
  const state = typeof status === 'number' ? STATES[status] : STATES.find((name) => name === status)
  return { ...rest, hosts: hosts ?? [], status: state ?? 'ACTIVE' }
}
