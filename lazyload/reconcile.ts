/** What is done for a key: the fence that labels ask for, then the fence's Sidecar and status. */
import type { Logger } from 'winston'
import type { Client } from '../runtime/client.ts'
import { hasCode, messageOf } from '../runtime/errors.ts'
import type { EventRecorder } from '../runtime/events.ts'
import { keyOf, type KubeObject } from '../runtime/object.ts'
import type { Result } from '../runtime/worker.ts'
import { createAutoFence } from './auto-fence/auto-fence.ts'
import type { createCaches } from './caches.ts'
import type { LazyloadConfig } from './config.ts'
import { aliasesOf } from './fence/aliases.ts'
import type { ComputedDomains, Observation } from './fence/domains.ts'
import { createEffectJudge } from './fence/effect.ts'
import type { FenceCondition } from './fence/fence.ts'
import { createNotServed } from './fence/not-served.ts'
import { createFenceReconciler } from './fence/reconciler.ts'
import { labelledRevision } from './fence/scope.ts'
import type { SourceProblem } from './fence/status.ts'
import type { Keeping } from './keep/keeping.ts'
import { selectorOf } from './mesh/known-hosts.ts'
import type { ResolvedRevision } from './mesh/revisions.ts'
import type { SelectedPods } from './mesh/selected-pods.ts'
import type { LazyloadMetrics } from './metrics.ts'
import { hostsOfSidecar, ownershipOf } from './sidecar/sidecar.ts'
import { createSidecarWriter, type SidecarOutcome } from './sidecar/writer.ts'

export interface ReconcileOptions {
  readonly config: LazyloadConfig
  readonly client: Client
  readonly caches: ReturnType<typeof createCaches>
  readonly events: EventRecorder
  readonly log: Logger
  readonly metrics: LazyloadMetrics
  readonly inNamespaces: (namespace: string) => boolean
  readonly inScope: (fence: KubeObject) => boolean
  /** Another module serves it; then it is not in scope. */
  readonly isElsewhere: (fence: KubeObject) => boolean
  readonly observation: (key: string) => Observation | undefined
  readonly queryProblem: (key: string) => SourceProblem | undefined
  readonly keeping: Pick<Keeping, 'of' | 'unseen' | 'rootNamespace'>
  readonly samePods: (key: string) => readonly KubeObject[]
  readonly pods: SelectedPods
  /** This module: `namespace/name`. */
  readonly servedBy: string
}

const SYSTEM_NAMESPACES = ['kube-system', 'kube-public', 'kube-node-lease']

export interface Reconcile {
  /** For `runWorkers`: reconciles the fence and the Service called `namespace/name`, and reports its own failures. */
  readonly reconcile: (key: string) => Promise<Result>
  /** What else to store in the status of a fence that has just learned something, so that its reconcile has only the Sidecar to write. */
  readonly alsoStored: (fence: KubeObject) => Readonly<Record<string, unknown>>
}

export function createReconcile(options: ReconcileOptions): Reconcile {
  const {
    config,
    client,
    caches,
    events,
    log,
    metrics,
    inNamespaces,
    inScope,
    isElsewhere,
    observation,
    queryProblem,
    samePods,
    keeping,
    servedBy,
  } = options
  const { fences, services, routes } = caches

  const autoFence = createAutoFence({
    client,
    fences,
    service: services.get,
    namespace: (name) => caches.namespaces.get(`/${name}`),
    decision: { ...config.autoFence, system: new Set([config.istioNamespace, config.slimeNamespace, ...SYSTEM_NAMESPACES]) },
    graceMs: config.autoFence.graceMs,
    inScope,
    served: config.revisions.names,
    revisions: caches.revisions,
    servedBy,
  })
  const sidecars = createSidecarWriter({ client, cache: caches.sidecars })
  const reconciler = createFenceReconciler({
    client,
    fences,
    sidecars,
    liveHosts: (key) => hostsOfSidecar(caches.sidecars.get(key)),
    unseen: caches.unseen,
    unseenGates: caches.unseenGates,
    missing: caches.globalSidecars.missing,
    serviceSelector: (key) => selectorOf(services.get(key)),
    serviceLabel: config.serviceLabel,
    samePods,
    revisionOf: (fence) => revisionOf(fence)?.name,
    effectOf: createEffectJudge({
      pods: options.pods,
      before: caches.precedence.before,
      serviceSelector: (key) => selectorOf(services.get(key)),
      revisionOf,
      revisionsUnseen: caches.revisionsUnseen,
    }),
    servedBy,
    hosts: config,
    keep: { scope: config.keep, of: keeping.of, unseen: keeping.unseen },
    namespaceWide: (fence) => caches.namespaceWide.of(fence, keeping.rootNamespace(), revisionOf(fence)?.name),
    domains: {
      source: config.source,
      absenceMs: config.prometheus?.absenceMs ?? 0,
      maxIdleMs: config.maxIdleMs,
      destinationsOf: routes.destinationsOf,
      destinationsOfAll: routes.destinationsOfAll,
      servicesWith: caches.concerned.servicesWith,
      aliasesOf: (host) => aliasesOf(host, config.aliases),
      isExternal: caches.knownHosts.isExternal,
      absentSince: (host) => caches.absentSince(host),
      resolve: caches.knownHosts.resolve,
    },
    observation,
    queryProblem,
    hasPrometheus: config.prometheus !== undefined,
    onSidecar,
    onFalse,
  })
  const notServed = createNotServed({ client, fences, servedBy, revisions: config.revisions.names, onFalse })

  function onFalse(fence: KubeObject, { reason, message }: FenceCondition): void {
    events.record(fence, 'Warning', reason, message)
  }

  /** What its label means to istiod. A tag that cannot be resolved any more stays what it was. */
  function revisionOf(fence: KubeObject): ResolvedRevision | undefined {
    const label = labelledRevision(fence)
    if (label === '') return undefined
    const resolved = caches.revisions.resolve(label)
    const live = caches.sidecars.get(keyOf(fence))
    if (resolved.is !== 'unknown' || live === undefined || !caches.revisionsUnseen()) return resolved
    const before = labelledRevision(live)
    return before === '' || ownershipOf(live, fence) !== 'ours' ? resolved : { name: before, is: before === label ? 'unknown' : 'tag' }
  }

  function onSidecar(fence: KubeObject, outcome: SidecarOutcome | 'failed', { domains }: ComputedDomains): void {
    metrics.sidecar(outcome)
    const key = keyOf(fence)
    if (outcome === 'created' || outcome === 'changed' || outcome === 'removed')
      log.info(`sidecar ${outcome}`, { fence: key, domains: Object.keys(domains).length })
  }

  /** Returns after how many milliseconds to look again. */
  async function judge(key: string): Promise<number | undefined> {
    if (!config.autoFence.enabled || !inNamespaces(namespaceOf(key))) return undefined
    const { action, againInMs } = await autoFence.judge(key)
    if (action !== 'unchanged') {
      metrics.autoFence(action)
      log.info(`fence ${action} because of labels`, { fence: key })
    }
    return againInMs
  }

  async function reconcile(key: string): Promise<Result> {
    try {
      const againInMs = await judge(key)
      const fence = fences.get(key)
      if (fence === undefined && inNamespaces(namespaceOf(key))) metrics.sidecar(await sidecars.removeLeft(key))
      if (fence === undefined || fence.metadata.deletionTimestamp !== undefined) {
        notServed.forget(key)
        return { requeueAfterMs: againInMs }
      }
      if (!inNamespaces(namespaceOf(key)) || isElsewhere(fence)) return { requeueAfterMs: againInMs }
      if (!inScope(fence)) return { requeueAfterMs: soonest(againInMs, await notServed.judge(fence)) }
      notServed.forget(key)
      const result = await reconciler.reconcile(fence)
      return { ...result, requeueAfterMs: soonest(againInMs, result.requeueAfterMs) }
    } catch (error) {
      // the cache was behind; nothing is wrong
      if (hasCode(error, 409)) return { retry: true }
      log.warn('reconcile failed', { fence: key, error: messageOf(error) })
      return { retry: true, failed: 'error' }
    }
  }

  return { reconcile, alsoStored: reconciler.alsoStored }
}

function soonest(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? (a ?? b) : Math.min(a, b)
}

function namespaceOf(key: string): string {
  return key.slice(0, key.indexOf('/'))
}
