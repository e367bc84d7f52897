/** One fence: its dependencies, its Sidecar, its status. Level-based; the same call twice writes nothing the second time. */
import type { Client } from '../../runtime/client.ts'
import { ApiError, hasCode, messageOf } from '../../runtime/errors.ts'
import { keyOf, type KubeObject } from '../../runtime/object.ts'
import { createTurns } from '../../runtime/turns.ts'
import type { Result } from '../../runtime/worker.ts'
import { keptInScope, type KeptHosts } from '../keep/kept-hosts.ts'
import type { KeepScope } from '../../module/settings.ts'
import { widestScope } from '../keep/reasons.ts'
import { FIELD_MANAGER, SIDECAR } from '../kinds.ts'
import type { Missing } from '../mesh/global-sidecars.ts'
import type { HostOptions } from '../sidecar/hosts.ts'
import { constantHosts, keptEgress, sidecarHosts, unionOf } from '../sidecar/hosts.ts'
import { type NamespaceWide, withinLimit } from '../sidecar/namespace-wide.ts'
import { createRefusedHosts, REFUSED_FOR_MS } from '../sidecar/refused-hosts.ts'
import { buildSidecar, type Labels, workloadLabels } from '../sidecar/sidecar.ts'
import type { SidecarOutcome, SidecarWriter } from '../sidecar/writer.ts'
import { type ComputedDomains, computeDomains, type DomainInput, nothingComputed, type Observation } from './domains.ts'
import type { EffectJudge, Judged } from './effect.ts'
import { domainsOf, type FenceCondition, isEnabled, specOf, statusOf } from './fence.ts'
import { excessOf } from './limits.ts'
import type { FenceKeep } from './kept.ts'
import type { FenceReason } from './reasons.ts'
import { type Carried, dependenciesPatch, type SidecarState, type SourceProblem, statusPatch } from './status.ts'
import { turnedFalse } from './turned-false.ts'
import { createStatusWriter } from './status-writer.ts'

export interface FenceReconcilerOptions {
  readonly client: Pick<Client, 'mergePatch' | 'apply'>
  readonly fences: { readonly record: (object: KubeObject) => void }
  readonly sidecars: SidecarWriter
  /** Hosts of the Sidecar `namespace/name` as it is. */
  readonly liveHosts: (key: string) => readonly string[]
  /** Of what hosts are computed from, the resources that cannot be seen now. */
  readonly unseen: () => readonly string[]
  /** Of what tells whether a global-sidecar can be reached, the resources that cannot be seen now. */
  readonly unseenGates: () => readonly string[]
  /** What keeps pods of this namespace from what their Sidecars lack; undefined: nothing. */
  readonly missing: (namespace: string) => Missing | undefined
  readonly serviceSelector: (key: string) => Labels | undefined
  readonly serviceLabel: string
  /** The enabled fences with the pods of this one, the one that has the Sidecar first. */
  readonly samePods: (key: string) => readonly KubeObject[]
  /** The revision of Istio that reads the Sidecar of this fence; undefined: all. */
  readonly revisionOf: (fence: KubeObject) => string | undefined
  readonly effectOf: EffectJudge
  /** This module: `namespace/name`. */
  readonly servedBy: string
  readonly hosts: HostOptions
  readonly keep: KeepOptions
  /** The Sidecar that holds for the pods of this fence while they have none of their own. */
  readonly namespaceWide: (fence: KubeObject) => NamespaceWide | undefined
  readonly domains: Pick<
    DomainInput,
    | 'source'
    | 'absenceMs'
    | 'maxIdleMs'
    | 'destinationsOf'
    | 'destinationsOfAll'
    | 'servicesWith'
    | 'aliasesOf'
    | 'isExternal'
    | 'absentSince'
    | 'resolve'
  >
  readonly observation: (key: string) => Observation | undefined
  readonly queryProblem: (key: string) => SourceProblem | undefined
  /** Whether the module names a Prometheus. */
  readonly hasPrometheus: boolean
  readonly onSidecar?: (fence: KubeObject, outcome: SidecarOutcome | 'failed', computed: ComputedDomains) => void
  /** A condition has become False, or is so for another reason. */
  readonly onFalse?: (fence: KubeObject, condition: FenceCondition) => void
  readonly now?: () => number
}

export interface KeepOptions {
  /** Where the fence says nothing. */
  readonly scope: KeepScope
  /** For fences of this namespace. */
  readonly of: (namespace: string) => KeptHosts
  /** Why it is not known what the mesh configuration names; undefined: it is known. */
  readonly unseen: () => string | undefined
}

/** Timers of Node hold at most 24.8 days. */
const MAX_REQUEUE_MS = 24 * 3_600_000
const NO_CRD_MS = 30_000
/** What is waited for has an event of its own in most cases. */
const LOOK_AGAIN_MS = 30_000
const HOLDER_MS = 2000

export function createFenceReconciler(options: FenceReconcilerOptions) {
  const {
    client,
    fences,
    sidecars,
    liveHosts,
    unseen,
    unseenGates,
    missing: missingIn,
    serviceSelector,
    serviceLabel,
    samePods,
    revisionOf,
    effectOf,
    servedBy,
    hosts,
    keep,
    namespaceWide,
    observation,
    queryProblem,
    onSidecar = () => {},
    onFalse = () => {},
    now = Date.now,
  } = options
  const refusedHosts = createRefusedHosts(now)
  const writeStatus = createStatusWriter({ client, fences })

  function compute(fence: KubeObject, time: number): ComputedDomains {
    const excess = excessOf(fence)
    if (excess !== undefined) return nothingComputed(excess)
    return computeDomains({
      ...options.domains,
      namespace: fence.metadata.namespace ?? '',
      spec: specOf(fence),
      metricStatus: statusOf(fence).metricStatus,
      previous: domainsOf(fence),
      observation: observation(keyOf(fence)),
      blind: unseen().length > 0,
      now: time,
    })
  }

  /** In turns: any number of fences may select the same pods. */
  async function computeAll(all: readonly KubeObject[], time: number): Promise<readonly ComputedDomains[]> {
    const turns = createTurns()
    const computed: ComputedDomains[] = []
    for (const fence of all) {
      if (turns.isOver()) await turns.next()
      computed.push(compute(fence, time))
    }
    return computed
  }

  /** Why nothing can be asked or received: no Prometheus is named, or no access log can come; the global-sidecar's Envoy opens its stream with the first call, so that none is open says nothing. */
  function logProblem(namespace: string): SourceProblem | undefined {
    if (options.domains.source === 'prometheus')
      return options.hasPrometheus
        ? undefined
        : {
            reason: 'NoMetricSource',
            message: 'The module names no Prometheus. Write metric.prometheus into it, or metric_source_type: accesslog.',
          }
    if (hosts.mode === 'no')
      return { reason: 'NoLogSource', message: 'Without a global-sidecar nobody sends access logs. Use metric_source_type: prometheus.' }
    const missing = unseenGates().length > 0 ? undefined : missingIn(namespace)
    if (missing === undefined) return undefined
    return { reason: 'NoGlobalSidecar', message: `Nobody sends access logs, because this is missing: ${missing.parts.join(', ')}.` }
  }

  const scopeOf = (fence: KubeObject): KeepScope => specOf(fence).keep ?? keep.scope

  /** What a Sidecar for these fences, whose pods are the same, keeps. */
  function keptBy(all: readonly KubeObject[], namespace: string): FenceKeep {
    const scope = widestScope(all.map(scopeOf))
    const why = keep.unseen()
    const kept = keptInScope(keep.of(namespace), scope, namespace)
    if (why === undefined || scope === 'none') return { scope, kept, unseen: why }
    return { scope, kept: withRemembered(kept, all), unseen: why }
  }

  async function isAccepted(sidecar: KubeObject): Promise<boolean> {
    try {
      await client.apply(SIDECAR, sidecar, { fieldManager: FIELD_MANAGER, dryRun: true })
      return true
    } catch (error) {
      if (hasCode(error, 400) || hasCode(error, 422)) return false
      throw error
    }
  }

  async function applySidecar(
    fence: KubeObject,
    computed: ComputedDomains,
    time: number,
  ): Promise<{ readonly state: SidecarState; readonly keep?: FenceKeep; readonly error?: ApiError }> {
    const { name, namespace = '' } = fence.metadata
    try {
      if (!isEnabled(fence)) {
        onSidecar(fence, await sidecars.remove(fence), computed)
        return { state: { kind: 'disabled' } }
      }
      if (computed.excess !== undefined)
        return { state: { kind: 'too-large', excess: computed.excess, hasSidecar: liveHosts(keyOf(fence)).length > 0 } }
      const labels = workloadLabels(name, specOf(fence), serviceLabel, serviceSelector(keyOf(fence)))
      if (labels === undefined) return { state: { kind: 'no-service' } }
      const wide = namespaceWide(fence)
      if (wide?.obstacle !== undefined) {
        // without one of its own the pods have that one, as before there was a fence
        onSidecar(fence, await sidecars.remove(fence), computed)
        return { state: { kind: 'not-carried', sidecar: wide.sidecar, field: wide.obstacle } }
      }
      const within = (list: readonly string[], staying: readonly string[] = []): readonly string[] => {
        if (wide?.hosts === undefined) return list
        const constant = new Set(constantHosts(namespace, hosts))
        const limited = withinLimit(
          list.filter((host) => !constant.has(host)),
          wide.hosts,
          namespace,
        )
        const kept = staying.filter((host) => !constant.has(host))
        return [...[...new Set([...limited, ...kept])].sort(), ...list.filter((host) => constant.has(host))]
      }
      const [first, ...rest] = samePods(keyOf(fence))
      const holder = first ?? fence
      const accepted = liveHosts(keyOf(holder))
      const hidden = [...unseen(), ...unseenGates()]
      const missing = unseenGates().length > 0 ? undefined : missingIn(namespace)
      // one that is there is kept up: without it more than it lacks would change
      if (accepted.length === 0) {
        const hasSidecar = liveHosts(keyOf(fence)).length > 0
        if (missing !== undefined) return { state: { kind: 'unserved', missing, hasSidecar } }
        if (hidden.length > 0) return { state: { kind: 'unseen', resources: hidden, hasSidecar } }
      }
      if (keyOf(holder) !== keyOf(fence)) {
        const held = new Set(accepted)
        const lacking = within(sidecarHosts(computed.domains, namespace, hosts)).filter((host) => !held.has(host))
        // its own Sidecar, if it has one, goes only when nothing is lost with it
        if (lacking.length > 0) return { state: { kind: 'sharing', with: holder.metadata.name, lacking } }
        onSidecar(fence, await sidecars.remove(fence), computed)
        return { state: { kind: 'shared', with: holder.metadata.name } }
      }
      const others = await computeAll(rest, time)
      const domains = unionOf([computed, ...others].map((each) => each.domains))
      const isIncomplete = hidden.length > 0 || others.some(({ excess }) => excess !== undefined)
      const sidecarOf = (list: readonly string[]): KubeObject => buildSidecar(fence, labels, list, revisionOf(fence), wide?.carried)
      const kept = keptBy([fence, ...rest], namespace)
      // while it cannot be seen, or reached, what its hosts are for, none is taken out
      const staying = isIncomplete || missing !== undefined ? accepted : []
      const stay = [...keptEgress(kept.kept.hosts, domains, hosts.stableHosts), ...staying]
      const unlimited = sidecarHosts(domains, namespace, hosts, stay)
      const wanted = within(unlimited, staying)
      const { outcome, refused, failure } = await refusedHosts.write(keyOf(fence), wanted, {
        write: async (list) => await sidecars.ensure(fence, sidecarOf(list)),
        accepts: async (list) => await isAccepted(sidecarOf(list)),
        accepted,
        constant: constantHosts(namespace, hosts),
      })
      onSidecar(fence, outcome, computed)
      const told = (state: SidecarState): { readonly state: SidecarState; readonly keep: FenceKeep } => ({ state, keep: kept })
      if (outcome === 'foreign') return told({ kind: 'foreign' })
      if (outcome === 'contested') return told({ kind: 'contested', ...sidecars.contestOf(fence) })
      if (refused.length > 0) return told({ kind: 'partial', refused, failure })
      if (missing !== undefined) return told({ kind: 'unserved', missing, hasSidecar: true })
      if (hidden.length > 0) return told({ kind: 'unseen', resources: hidden, hasSidecar: true })
      return told({ kind: 'applied', with: rest.map(({ metadata }) => metadata.name), carried: carriedBy(wide, unlimited, wanted) })
    } catch (error) {
      // the cache is behind: its event brings the fence back, and so does the retry
      if (hasCode(error, 409)) throw error
      onSidecar(fence, 'failed', computed)
      if (error instanceof ApiError && error.unknownKind) return { state: { kind: 'no-crd' } }
      if (!(error instanceof ApiError)) throw error
      return {
        state: {
          kind: 'failed',
          reason: error.reason === '' ? ('ApplyFailed' satisfies FenceReason) : error.reason,
          failure: messageOf(error),
        },
        error,
      }
    }
  }

  /** What becomes of a Sidecar that is as it should be; undefined for others. */
  async function judgeEffect(fence: KubeObject, { kind }: SidecarState): Promise<Judged | undefined> {
    if (kind !== 'applied' && kind !== 'shared') return undefined
    const key = keyOf(fence)
    const labels = workloadLabels(fence.metadata.name, specOf(fence), serviceLabel, serviceSelector(key))
    return labels === undefined ? undefined : await effectOf({ fence, labels, samePods: samePods(key) })
  }

  return {
    /** What else can be stored in the status of `fence` when it has just learned something, so that its reconcile has nothing to add. */
    alsoStored: (fence: KubeObject): Readonly<Record<string, unknown>> =>
      dependenciesPatch({ fence, computed: compute(fence, now()), stableHosts: hosts.stableHosts }),

    /** Throws ApiError or ConnectionError for what the API server refuses or does not answer; the caller tries again. */
    async reconcile(fence: KubeObject): Promise<Result> {
      const key = keyOf(fence)
      const time = now()
      const computed = compute(fence, time)
      const { state, keep: kept, error } = await applySidecar(fence, computed, time)
      // the Sidecar is written: it waits for nothing that is only said about it
      const judged = await judgeEffect(fence, state)
      const patch = statusPatch({
        fence,
        computed,
        stableHosts: hosts.stableHosts,
        sidecar: state,
        effect: judged?.effect,
        servedBy,
        keep: isEnabled(fence) ? (kept ?? keptBy([fence], fence.metadata.namespace ?? '')) : undefined,
        queryProblem: logProblem(fence.metadata.namespace ?? '') ?? queryProblem(key),
        now: new Date(time),
      })
      const contestedMs = patch === undefined ? 0 : await writeStatus(fence, patch, { lastWord: state.kind === 'contested' })
      if (patch !== undefined && contestedMs === 0) for (const condition of turnedFalse(fence, patch)) onFalse(fence, condition)
      if (error !== undefined) throw error
      if (state.kind === 'no-crd') return { requeueAfterMs: NO_CRD_MS, failed: 'error' }
      const changesInMs = computed.changesAt === undefined ? Infinity : Math.max(0, computed.changesAt - now())
      const againInMs = Math.min(changesInMs, againFor(state), judged?.againInMs ?? Infinity, contestedMs === 0 ? Infinity : contestedMs)
      return { requeueAfterMs: againInMs === Infinity ? undefined : Math.min(againInMs, MAX_REQUEUE_MS) }
    },
  }
}

/** What was kept because of the mesh configuration stays while that cannot be read. */
function withRemembered(kept: KeptHosts, fences: readonly KubeObject[]): KeptHosts {
  const known = new Set(kept.hosts.map(({ host }) => host))
  const remembered = fences
    .flatMap((fence) => statusOf(fence).kept?.hosts ?? [])
    .filter(({ host, reason }) => reason === 'Provider' && !known.has(host))
  if (remembered.length === 0) return kept
  const added = [...new Set(remembered.map(({ host }) => host))].map((host) => ({
    host,
    reason: 'Provider' as const,
    namespace: undefined,
  }))
  return { ...kept, hosts: [...kept.hosts, ...added].sort((a, b) => (a.host < b.host ? -1 : 1)) }
}

function carriedBy(wide: NamespaceWide | undefined, unlimited: readonly string[], wanted: readonly string[]): Carried | undefined {
  if (wide === undefined) return undefined
  const left = new Set(wanted.map((host) => host.slice(host.indexOf('/') + 1)))
  const withheld = wide.hosts === undefined ? [] : unlimited.filter((host) => !left.has(host.slice(host.indexOf('/') + 1)))
  return { sidecar: wide.sidecar, fields: Object.keys(wide.carried), withheld }
}

/** When to look again though nothing has changed, milliseconds. */
function againFor(state: SidecarState): number {
  if (state.kind === 'contested') return state.retryMs
  return { partial: REFUSED_FOR_MS, unseen: LOOK_AGAIN_MS, sharing: HOLDER_MS }[state.kind as string] ?? Infinity
}
