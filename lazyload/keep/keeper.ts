/**
 * What Sidecars keep without having been called, kept up to date: changes of the mesh come in, and the namespaces for whose fences
 * something else is kept go out, many changes together.
 */
import { coversCluster, serviceHost, serviceOf } from '../mesh/host-name.ts'
import { after } from '../../runtime/callbacks.ts'
import { keyOf, type KubeObject } from '../../runtime/object.ts'
import { selectorOf } from '../mesh/known-hosts.ts'
import type { RoutedHosts } from '../mesh/virtual-services.ts'
import { GLOBAL_SIDECAR } from '../kinds.ts'
import type { Exposure } from './exposure.ts'
import type { InMesh } from '../../module/in-mesh.ts'
import type { Candidate, View } from './judge.ts'
import { reasonToKeep } from './judge.ts'
import { createKeptIndex, type KeptHosts, type Mesh } from './kept-hosts.ts'
import type { MeshConfig } from './mesh-config.ts'

export interface KeeperOptions {
  readonly inMesh: Pick<InMesh, 'of' | 'ask' | 'whenKnown'>
  /** Namespaces that every Sidecar has as a whole. */
  readonly everywhere: ReadonlySet<string>
  readonly viewOf: Mesh['viewOf']
  /** The VirtualServices that look at the caller, with what they route to. */
  readonly callerRoutes: () => readonly RoutedHosts[]
  readonly meshConfig: () => MeshConfig | undefined
  /** The full host of a name of the mesh configuration; undefined where nothing has it. */
  readonly resolve: (name: string) => string | undefined
  /** How many fences there are: each change is a write for each of them. */
  readonly fences: () => number
  /** For fences of these namespaces something else is kept. */
  readonly onChange: (namespaces: readonly string[]) => void
}

/** Changes that come together are one. */
const BATCH_MS = 100
/** So long per fence until the next change reaches them: a write of each must be done by then, and istiod must have taken it. */
const PER_FENCE_MS = 2
const LONGEST_MS = 30_000
const NO_DEFAULTS = { Service: undefined, VirtualService: undefined }

export function createKeeper(options: KeeperOptions) {
  const { inMesh, everywhere, viewOf, callerRoutes, meshConfig, resolve, fences, onChange } = options
  /** By kind, namespace and name of the object; one for each of its hosts. */
  const candidates = new Map<string, readonly Candidate[]>()
  const index = createKeptIndex()
  /** Namespaces that were in the mesh when it was last looked: while a new label leaves that open, nothing is taken out. */
  let wereIn: ReadonlySet<string> = new Set()
  let timer: NodeJS.Timeout | undefined
  let working = false
  let dirty = true
  let changedAt = -Infinity

  function touch(): void {
    dirty = true
    if (!working || timer !== undefined) return
    const pause = Math.min(LONGEST_MS, fences() * PER_FENCE_MS)
    const waitMs = Math.max(BATCH_MS, changedAt + pause - performance.now())
    timer = after(waitMs, 'kept hosts', () => {
      timer = undefined
      flush()
    })
    timer.unref()
  }

  function flush(): void {
    if (!dirty) return
    dirty = false
    const changed = index.rebuild({
      candidates: membersOf(candidates),
      always: [...providers(), ...routesByCaller()],
      exportTo: meshConfig()?.exportTo ?? NO_DEFAULTS,
      viewOf,
    })
    if (changed.length === 0) return
    changedAt = performance.now()
    if (working) onChange(changed)
  }

  /** Those in the mesh; where nobody knows that yet of a host that would be kept, it is asked for. */
  function* membersOf(all: ReadonlyMap<string, readonly Candidate[]>): Iterable<Candidate> {
    const members = new Map<string, ReturnType<InMesh['of']>>()
    for (const list of all.values())
      for (const candidate of list) {
        const { namespace, kind } = candidate
        if (kind === 'ServiceEntry') {
          yield candidate
          continue
        }
        const membership = members.get(namespace) ?? inMesh.of(namespace)
        members.set(namespace, membership)
        if (membership === 'unknown' && isOfInterest(candidate)) inMesh.ask(namespace)
        if (isMember(namespace, membership)) yield candidate
      }
    wereIn = new Set([...members].flatMap(([namespace, membership]) => (isMember(namespace, membership) ? [namespace] : [])))
  }

  function isMember(namespace: string, membership: ReturnType<InMesh['of']>): boolean {
    return membership === 'in' || (membership === 'unknown' && wereIn.has(namespace))
  }

  /** As the global-sidecar of its own namespace, or of the mesh, would see it. */
  function isOfInterest(candidate: Candidate): boolean {
    const view: View = { ...viewOf(candidate.namespace), exportTo: meshConfig()?.exportTo ?? NO_DEFAULTS }
    return candidate.exposure.exportTo !== undefined || reasonToKeep(candidate, view) !== undefined
  }

  function providers(): Mesh['always'] {
    return (meshConfig()?.hosts ?? []).flatMap((name) => {
      const host = resolve(name) ?? name
      if (!host.includes('.') || isEverywhere(host)) return []
      return [{ host, reason: 'Provider' as const, namespace: undefined, exportTo: ['*'] }]
    })
  }

  function routesByCaller(): Mesh['always'] {
    return callerRoutes().flatMap(({ hosts, destinations, namespace, exportTo }) =>
      [...hosts, ...destinations]
        .filter((host) => host !== '*' && !coversCluster(host) && !isEverywhere(host))
        .map((host) => ({ host, reason: 'CallerRoutes' as const, namespace, exportTo })),
    )
  }

  function isEverywhere(host: string): boolean {
    const service = serviceOf(host)
    return service !== undefined && everywhere.has(service.slice(0, service.indexOf('/')))
  }

  function put(id: string, list: readonly Candidate[]): void {
    const before = candidates.get(id)
    if (isSame(before ?? [], list)) return
    if (list.length === 0) candidates.delete(id)
    else candidates.set(id, list)
    touch()
  }

  return {
    /** Takes in a change of the cache of Services. */
    changeService(previous: KubeObject | undefined, current: KubeObject | undefined): void {
      const { name, namespace = '' } = (current ?? previous)!.metadata
      if (name === GLOBAL_SIDECAR) {
        if (previous?.['exposure'] !== current?.['exposure']) touch()
        return
      }
      const exposure = current?.['exposure'] as Exposure | undefined
      const selects = Object.keys(selectorOf(current) ?? {}).length > 0
      const isCandidate = exposure !== undefined && selects && !everywhere.has(namespace)
      put(
        `Service/${namespace}/${name}`,
        isCandidate ? [{ host: serviceHost(name, namespace), namespace, exportTo: exposure.exportTo, exposure, kind: 'Service' }] : [],
      )
      // a host of the mesh configuration may mean it
      if ((previous === undefined || current === undefined) && (meshConfig()?.hosts.length ?? 0) > 0) touch()
    },
    changeEntry(previous: KubeObject | undefined, current: KubeObject | undefined): void {
      const { namespace = '' } = (current ?? previous)!.metadata
      const exposure = current?.['exposure'] as Exposure | undefined
      const hosts = exposure === undefined || everywhere.has(namespace) ? [] : (current!['hosts'] as readonly string[])
      put(
        `ServiceEntry/${keyOf((current ?? previous)!)}`,
        hosts.map((host) => ({ host, namespace, exportTo: exposure!.exportTo, exposure: exposure!, kind: 'ServiceEntry' })),
      )
    },
    /** Something that is not told here is different: labels of namespaces, pods, routes by caller, the mesh configuration. */
    touch,
    of: (namespace: string): KeptHosts => index.of(namespace),
    /** Before the first reconcile: resolves when it is known which namespaces are in the mesh. From then on changes are told. */
    async settle(): Promise<void> {
      do {
        dirty = true
        flush()
        await inMesh.whenKnown()
      } while (dirty)
      working = true
    },
    close(): void {
      working = false
      clearTimeout(timer)
    },
  }
}

function isSame(a: readonly Candidate[], b: readonly Candidate[]): boolean {
  return a.length === b.length && a.every(({ host, exposure }, index) => host === b[index]?.host && exposure === b[index].exposure)
}
