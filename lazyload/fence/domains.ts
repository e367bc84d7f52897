/** The dependencies of a fence: from its spec, from the Services that it selects, and from what was learned (spec 3.4, 3.5). Pure. */
import { MAX_LEARNED } from '../learn/learner.ts'
import { learnedHosts } from '../learn/metric-key.ts'
import { isHostName, namespaceOfAll } from '../../module/names.ts'
import type { MetricSource } from '../../module/settings.ts'
import { completeShortName } from '../mesh/host-name.ts'
import type { Domain, Domains, DomainSource, FenceSpec } from './fence.ts'
import { MAX_HOSTS, MAX_LOOKED_AT, MAX_ROUTES } from './limits.ts'
import { lifetimeOf } from './strategy.ts'

export interface DomainInput {
  readonly namespace: string
  readonly spec: FenceSpec
  /** `status.metricStatus`: what was learned. */
  readonly metricStatus: Readonly<Record<string, unknown>> | null | undefined
  /** `status.domains` so far. */
  readonly previous: Domains
  readonly source: MetricSource
  /** The last complete answer of Prometheus for this fence. */
  readonly observation: Observation | undefined
  /** How long answers must lack a host before it is forgotten, milliseconds; at least two intervals. */
  readonly absenceMs: number
  readonly maxIdleMs: number | undefined
  readonly now: number
  readonly destinationsOf: (host: string) => readonly string[]
  readonly destinationsOfAll: (namespace: string) => readonly string[]
  /**
   * Hosts of the Services, in any namespace, that have all these labels, and how many Services were looked at for that; undefined where
   * that would be more than `limit`.
   */
  readonly servicesWith: (labels: Readonly<Record<string, string>>, limit: number) => Selected | undefined
  readonly aliasesOf: (host: string) => readonly string[]
  /** A host outside of the cluster's own domain that the mesh knows. */
  readonly isExternal: (host: string) => boolean
  /** Since when (milliseconds since 1970) nothing in the mesh has this host of the cluster's own domain; undefined while something has. */
  readonly absentSince?: (host: string) => number | undefined
  /** What the mesh knows cannot be seen in full: that a host lacks then means nothing. */
  readonly blind?: boolean
  /** The full host of a name as a caller in this namespace means it; undefined for what the mesh does not know. */
  readonly resolve: (name: string, namespace: string) => string | undefined
}

/** How long the Service of a learned host must be gone before its place goes to another host, milliseconds. */
const DEAD_MS = 3_600_000

/** The hosts that one query found, and when (milliseconds since 1970). */
export interface Observation {
  readonly at: number
  readonly hosts: ReadonlySet<string>
}

export interface Selected {
  readonly hosts: readonly string[]
  readonly lookedAt: number
}

export interface ComputedDomains {
  readonly domains: Domains
  /** Keys of `status.metricStatus` whose hosts are to be forgotten. */
  readonly forgotten: readonly string[]
  /** When the result changes by itself, milliseconds since 1970. */
  readonly changesAt: number | undefined
  /** Hosts of the spec that are no hosts. */
  readonly invalid: readonly string[]
  /** Names of the spec that mean a Service (`details.default`) which the mesh does not know. */
  readonly unknown: readonly string[]
  /** What it selects is too much, as a sentence: the rest is incomplete and must not be used. */
  readonly excess?: string
}

export function computeDomains(input: DomainInput): ComputedDomains {
  const domains = new Map<string, Domain>()
  const changes: number[] = []
  const invalid: string[] = []
  const unknown: string[] = []
  let routes = 0

  /** The first who names a host decides about it. */
  function add(host: string, domain: Omit<Domain, 'hosts'>): void {
    const all = namespaceOfAll(host)
    if (all === undefined) for (const name of [host, ...input.aliasesOf(host).filter(isHostName)]) addHost(name, domain)
    else if (!domains.has(host)) domains.set(host, { hosts: input.destinationsOfAll(all), ...domain })
  }

  function addHost(host: string, domain: Omit<Domain, 'hosts'>): void {
    if (domains.has(host)) return
    const destinations = routes > MAX_ROUTES ? [] : input.destinationsOf(host)
    routes += destinations.length
    domains.set(host, { hosts: [host, ...destinations], ...domain })
  }

  for (const [name, strategy] of Object.entries(input.spec.host ?? {})) {
    const host = namespaceOfAll(name) === undefined ? hostOfSpec(name.toLowerCase(), input) : name
    if (namespaceOfAll(host) === undefined && !isHostName(host)) {
      invalid.push(name)
      continue
    }
    if (input.blind !== true && SERVICE_AND_NAMESPACE.test(host) && input.resolve(host, input.namespace) === undefined) unknown.push(name)
    const { expired, expiresAt } = lifetimeOf(strategy, input.now)
    if (expiresAt !== undefined) changes.push(expiresAt)
    add(host, { status: expired ? 'EXPIRE' : 'ACTIVE', source: 'host' })
  }
  for (const namespace of input.spec.namespaceSelector ?? []) {
    if (namespaceOfAll(`${namespace}/*`) === undefined) invalid.push(namespace)
    else add(`${namespace}/*`, { status: 'ACTIVE', source: 'namespaceSelector' })
  }
  let room = MAX_LOOKED_AT
  for (const entry of input.spec.labelSelector ?? []) {
    const labels = entry?.selector ?? {}
    if (Object.keys(labels).length === 0) continue
    const selected = input.servicesWith(labels, room)
    if (selected === undefined) return TOO_MANY
    room -= selected.lookedAt
    for (const host of selected.hosts) add(host, { status: 'ACTIVE', source: 'labelSelector' })
    if (domains.size > MAX_HOSTS) return TOO_MANY
  }

  // what was once learned as external stays so while its ServiceEntry is away
  const isExternal = (host: string): boolean =>
    input.isExternal(host) || (input.previous[host] !== undefined && isLearned(input.previous[host].source))
  const isFull = input.blind !== true && Object.keys(input.metricStatus ?? {}).length >= MAX_LEARNED
  const forgotten: string[] = []
  for (const [host, keys] of learnedHosts(input.metricStatus, input.namespace, isExternal)) {
    if (domains.get(host)?.source === 'host') continue
    const deadAt = isFull ? deadAtOf(host, input) : undefined
    if (deadAt !== undefined && input.now >= deadAt) {
      forgotten.push(...keys)
      continue
    }
    if (deadAt !== undefined) changes.push(deadAt)
    const learned = age(host, input)
    if (learned === undefined) forgotten.push(...keys)
    else {
      if (learned.idleAt !== undefined) changes.push(learned.idleAt)
      add(host, learned.domain)
    }
  }
  if (routes > MAX_ROUTES) return TOO_MANY_ROUTES
  const sorted = [...domains].sort(([a], [b]) => (a < b ? -1 : 1))
  return {
    domains: Object.fromEntries(sorted),
    forgotten,
    changesAt: changes.length === 0 ? undefined : Math.min(...changes),
    invalid,
    unknown,
  }
}

/** Of a fence that is too large. */
export function nothingComputed(excess: string): ComputedDomains {
  return { domains: {}, forgotten: [], changesAt: undefined, invalid: [], unknown: [], excess }
}

const TOO_MANY = nothingComputed(
  `spec.labelSelector selects more than ${MAX_HOSTS} Services. A Sidecar with so many hosts narrows nothing; select fewer, or disable the fence.`,
)

const TOO_MANY_ROUTES = nothingComputed(
  `VirtualServices route the hosts of this fence to more than ${MAX_ROUTES} others, counted for each host. Look which one has a wildcard host and that many destinations.`,
)

const SERVICE_AND_NAMESPACE = /^[^./]+\.[^./]+(?:\.svc)?$/

/** As its writer means it: a name without a dot is a Service of this namespace, whether it is there yet or not. */
function hostOfSpec(name: string, { namespace, resolve }: DomainInput): string {
  return SERVICE_AND_NAMESPACE.test(name) ? (resolve(name, namespace) ?? name) : completeShortName(name, namespace)
}

function deadAtOf(host: string, { absentSince = () => undefined }: DomainInput): number | undefined {
  const since = absentSince(host)
  return since === undefined ? undefined : since + DEAD_MS
}

/** A learned host as it stands now; undefined when its time is over. */
function age(
  host: string,
  input: DomainInput,
): { readonly domain: Omit<Domain, 'hosts'>; readonly idleAt: number | undefined } | undefined {
  const { previous, now, maxIdleMs } = input
  const before = isLearned(previous[host]?.source) ? previous[host] : undefined
  const source = before?.source ?? input.source
  const learnedAt = before?.learnedAt ?? new Date(now).toISOString()
  const observation = input.blind === true || isBefore(input.observation, learnedAt) ? undefined : input.observation
  // Prometheus says itself what is called no more
  const idleAt = maxIdleMs === undefined || input.source !== 'accesslog' ? undefined : Date.parse(learnedAt) + maxIdleMs
  if (idleAt !== undefined && now >= idleAt) return undefined
  const active = { domain: { status: 'ACTIVE', source, learnedAt }, idleAt } as const
  if (input.source === 'accesslog' || observation?.hosts.has(host) === true) return active
  const missingSince = before?.status === 'EXPIREWAIT' ? before.missingSince : undefined
  if (observation === undefined && missingSince === undefined) return active
  if (observation !== undefined && missingSince !== undefined && observation.at - Date.parse(missingSince) >= input.absenceMs)
    return undefined
  return {
    domain: { status: 'EXPIREWAIT', source, learnedAt, missingSince: missingSince ?? new Date(observation!.at).toISOString() },
    idleAt,
  }
}

function isBefore(observation: Observation | undefined, learnedAt: string): boolean {
  return observation !== undefined && observation.at < Date.parse(learnedAt)
}

function isLearned(source: DomainSource | undefined): boolean {
  // domains that an older controller wrote say nothing about where they are from
  return source === undefined || source === 'accesslog' || source === 'prometheus'
}
