/** One fence: its dependencies, its Sidecar, its status. Level-based; the same call twice writes nothing the second time. */
import type { Client } from '../../runtime/client.ts'
import { ApiError, hasCode, messageOf } from '../../runtime/errors.ts'
import { keyOf, type KubeObject } from '../../runtime/object.ts'
import { refOf } from '../../runtime/resource.ts'
import type { Result } from '../../runtime/worker.ts'
import { FIELD_MANAGER, SERVICE_FENCE } from '../kinds.ts'
import type { HostOptions } from '../sidecar/hosts.ts'
import { sidecarHosts } from '../sidecar/hosts.ts'
import { buildSidecar, type Labels, workloadLabels } from '../sidecar/sidecar.ts'
import type { SidecarOutcome, SidecarWriter } from '../sidecar/writer.ts'
import { type ComputedDomains, computeDomains, type DomainInput, type Observation } from './domains.ts'
import { domainsOf, isEnabled, specOf, statusOf } from './fence.ts'
import { dependenciesPatch, type SidecarState, statusPatch } from './status.ts'

export interface FenceReconcilerOptions {
  readonly client: Pick<Client, 'mergePatch'>
  readonly fences: { readonly record: (object: KubeObject) => void }
  readonly sidecars: SidecarWriter
  readonly serviceSelector: (key: string) => Labels | undefined
  readonly serviceLabel: string
  readonly hosts: HostOptions
  readonly domains: Pick<
    DomainInput,
    'source' | 'intervalMs' | 'maxIdleMs' | 'destinationsOf' | 'destinationsOfAll' | 'servicesWith' | 'aliasesOf' | 'isExternal'
  >
  readonly observation: (key: string) => Observation | undefined
  readonly queryProblem: (key: string) => string | undefined
  readonly onSidecar?: (fence: KubeObject, outcome: SidecarOutcome | 'failed', computed: ComputedDomains) => void
  readonly now?: () => number
}

/** Timers of Node hold at most 24.8 days. */
const MAX_REQUEUE_MS = 24 * 3_600_000
const NO_CRD_MS = 30_000

export function createFenceReconciler(options: FenceReconcilerOptions) {
  const {
    client,
    fences,
    sidecars,
    serviceSelector,
    serviceLabel,
    hosts,
    observation,
    queryProblem,
    onSidecar = () => {},
    now = Date.now,
  } = options

  function compute(fence: KubeObject, time: number): ComputedDomains {
    return computeDomains({
      ...options.domains,
      namespace: fence.metadata.namespace ?? '',
      spec: specOf(fence),
      metricStatus: statusOf(fence).metricStatus,
      previous: domainsOf(fence),
      observation: observation(keyOf(fence)),
      now: time,
    })
  }

  async function applySidecar(
    fence: KubeObject,
    computed: ComputedDomains,
  ): Promise<{ readonly state: SidecarState; readonly error?: ApiError }> {
    const { name, namespace = '' } = fence.metadata
    try {
      if (!isEnabled(fence)) {
        onSidecar(fence, await sidecars.remove(fence), computed)
        return { state: { kind: 'disabled' } }
      }
      const labels = workloadLabels(name, specOf(fence), serviceLabel, serviceSelector(keyOf(fence)))
      if (labels === undefined) return { state: { kind: 'no-service' } }
      const outcome = await sidecars.ensure(fence, buildSidecar(fence, labels, sidecarHosts(computed.domains, namespace, hosts)))
      onSidecar(fence, outcome, computed)
      return { state: { kind: outcome === 'foreign' ? 'foreign' : 'applied' } }
    } catch (error) {
      // the cache is behind: its event brings the fence back, and so does the retry
      if (hasCode(error, 409)) throw error
      onSidecar(fence, 'failed', computed)
      if (error instanceof ApiError && error.unknownKind) return { state: { kind: 'no-crd' } }
      if (!(error instanceof ApiError)) throw error
      return { state: { kind: 'failed', reason: error.reason === '' ? 'ApplyFailed' : error.reason, failure: messageOf(error) }, error }
    }
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
      const { state, error } = await applySidecar(fence, computed)
      const patch = statusPatch({
        fence,
        computed,
        stableHosts: hosts.stableHosts,
        sidecar: state,
        queryProblem: queryProblem(key),
        now: new Date(time),
      })
      if (patch !== undefined) fences.record(await client.mergePatch(refOf(SERVICE_FENCE, fence), patch, FIELD_MANAGER, 'status'))
      if (error !== undefined) throw error
      if (state.kind === 'no-crd') return { requeueAfterMs: NO_CRD_MS, failed: 'error' }
      return {
        requeueAfterMs: computed.changesAt === undefined ? undefined : Math.min(Math.max(0, computed.changesAt - now()), MAX_REQUEUE_MS),
      }
    },
  }
}
