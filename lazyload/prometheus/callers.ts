/** Whom Prometheus is asked for: the fences, and what their pods are called in its metrics. */
import { keyOf, type KubeObject } from '../../runtime/object.ts'
import { isEnabled, specOf, statusOf } from '../fence/fence.ts'
import { isTooLarge } from '../fence/limits.ts'
import { selectorOf } from '../mesh/known-hosts.ts'
import { type Labels, workloadLabels } from '../sidecar/sidecar.ts'
import type { Caller } from './query.ts'

interface Objects {
  readonly get: (key: string) => KubeObject | undefined
  readonly values: () => Iterable<KubeObject>
}

export interface CallersOptions {
  readonly fences: Objects
  readonly services: Objects
  /** The label whose value Istio's metrics show as `source_app`. */
  readonly serviceLabel: string
  readonly inScope: (fence: KubeObject) => boolean
  readonly inNamespaces: (namespace: string) => boolean
}

export interface Callers {
  /** Every fence that learns. */
  readonly callers: () => readonly Caller[]
  /** Values of `source_app` that Services or fences of several namespaces have. */
  readonly sharedNames: () => ReadonlySet<string>
  /** True for a fence that has learned hosts. */
  readonly knowsHosts: (fence: string) => boolean
}

/** A value that a pod's label can have; anything else could change the meaning of a query. */
const LABEL_VALUE = /^[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?$/

/** What pods with these labels are called; those that do not have the label, as the fence or Service is. */
export function appOf(name: string, labels: Labels | undefined, serviceLabel: string): string {
  const value = labels?.[serviceLabel]
  return typeof value === 'string' && LABEL_VALUE.test(value) ? value : name
}

export function createCallers({ fences, services, serviceLabel, inScope, inNamespaces }: CallersOptions): Callers {
  const ofFence = (fence: KubeObject): string => {
    const { name } = fence.metadata
    return appOf(name, workloadLabels(name, specOf(fence), serviceLabel, selectorOf(services.get(keyOf(fence)))), serviceLabel)
  }
  const ofService = (service: KubeObject): string => appOf(service.metadata.name, selectorOf(service), serviceLabel)

  return {
    callers: () =>
      [...fences.values()]
        .filter((fence) => isEnabled(fence) && inScope(fence) && fence.metadata.deletionTimestamp === undefined && !isTooLarge(fence))
        .map((fence) => ({ key: keyOf(fence), app: ofFence(fence) })),
    sharedNames() {
      const homes = new Map<string, string>()
      const shared = new Set<string>()
      for (const [objects, nameOf] of [
        [services.values(), ofService],
        [fences.values(), ofFence],
      ] as const)
        for (const object of objects) {
          const { namespace = '' } = object.metadata
          if (!inNamespaces(namespace)) continue
          const name = nameOf(object)
          if ((homes.get(name) ?? namespace) === namespace) homes.set(name, namespace)
          else shared.add(name)
        }
      return shared
    },
    knowsHosts(key) {
      const fence = fences.get(key)
      return fence !== undefined && Object.keys(statusOf(fence).metricStatus ?? {}).length > 0
    },
  }
}
