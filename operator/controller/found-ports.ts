/**
 * Watches Services for SlimeBoots with `wormholePort: auto`, and only while there are any. What was found is remembered in an annotation
 * on the ConfigMaps of the modules, so that a restart of the operator changes nothing.
 */
import type { Logger } from 'winston'
import { createInMesh, membershipByLabels, meshLabelsOf } from '../../module/in-mesh.ts'
import { after, inBackground } from '../../runtime/callbacks.ts'
import type { Client } from '../../runtime/client.ts'
import { messageOf } from '../../runtime/errors.ts'
import { createInformer, type InformerProblem } from '../../runtime/informer.ts'
import { isJsonObject, keyOf, type KubeObject } from '../../runtime/object.ts'
import { resourceName } from '../../runtime/resource.ts'
import { NAMESPACE, SERVICE } from '../api/kinds.ts'
import { FOUND_PORTS_ANNOTATION, OWNER_LABEL } from '../api/slimeboot.ts'
import type { Live } from '../apply/live.ts'
import { ownerOf, ownershipOf } from '../apply/ownership.ts'
import type { ClusterFacts } from '../spec/cluster-facts.ts'
import {
  type FoundPort,
  nextLeaveMs,
  parseFoundPorts,
  portsInMesh,
  type PortsInMesh,
  portsOfService,
  portsToServe,
  type ServicePorts,
} from '../spec/found-ports.ts'
import { enabledModules, findsPorts, settingOf } from '../spec/modules.ts'

export interface FoundPortsOptions {
  readonly client: Pick<Client, 'list' | 'watch'>
  readonly live: Pick<Live, 'labelled'>
  readonly get: (key: string) => KubeObject | undefined
  /** Other ports are found for these SlimeBoots. Must not throw and must not wait. */
  readonly onChange: (keys: readonly string[]) => void
  /** This SlimeBoot has a port that leaves after `ms`. */
  readonly onLeave: (key: string, ms: number) => void
  readonly log: Logger
}

/** Changes that come together are one: until none has come for `quietMs`, and no longer than `longestMs`. */
const BATCH = { quietMs: 300, longestMs: 900 }
/** The same so soon after the last change that it may be a part of it. */
const NEXT_BATCH = { withinMs: 5000, quietMs: 600, longestMs: 3000 }
/** Each change is a write in every namespace: from the tenth on each waits longer than the one before, until it has been quiet for a minute. */
const PAUSE = { free: 10, firstMs: 1000, longestMs: 30_000, forgottenMs: 60_000 }
const LONGEST_TIMER_MS = 24 * 3_600_000
const GLOBAL_SIDECAR = 'global-sidecar'

export type FoundPorts = ReturnType<typeof createFoundPorts>

export function createFoundPorts({ client, live, get, onChange, onLeave, log }: FoundPortsOptions) {
  /** SlimeBoots that ask for it. */
  const asking = new Set<string>()
  let ended: AbortSignal | undefined
  let watch: ReturnType<typeof startWatch> | undefined

  function startWatch(parent: AbortSignal) {
    const controller = new AbortController()
    const signal = AbortSignal.any([parent, controller.signal])
    let found: PortsInMesh | undefined
    let timer: NodeJS.Timeout | undefined
    let pendingSince: number | undefined
    let changes = 0
    let changedAt = -Infinity

    const onProblem = ({ type, error, retryInMs }: InformerProblem): void => {
      log.warn('watch interrupted', { resource: resourceName(type), error: messageOf(error), retryInMs: Math.round(retryInMs) })
    }
    const namespaces = createInformer({
      client,
      type: NAMESPACE,
      paged: true,
      builtIn: true,
      transform: slimNamespace,
      onChange: (previous, current) => {
        const name = (current ?? previous)!.metadata.name
        if (current === undefined || membershipByLabels(current.metadata.labels) !== undefined) inMesh.forget(name)
        touch()
      },
      onRegained: touch,
      onProblem,
    })
    const inMesh = createInMesh({
      client,
      labelsOf: (name) => meshLabelsOf(name, namespaces.get(`/${name}`)?.metadata.labels),
      onChange: touch,
      onProblem: (namespace, { error }) => {
        log.warn('pods cannot be seen; the namespace counts as in the mesh', { namespace, error: messageOf(error) })
      },
    })
    const services = createInformer({
      client,
      type: SERVICE,
      paged: true,
      builtIn: true,
      transform: slimService,
      onChange: (previous, current) => {
        if (portsText(previous) !== portsText(current)) touch()
      },
      onRegained: touch,
      onProblem,
    })

    /** The ports, once it is known of every namespace with such Services whether it is in the mesh. */
    function look(): PortsInMesh | undefined {
      if (!services.synced() || !namespaces.synced() || services.forbidden() || namespaces.forbidden()) return undefined
      let unknown = false
      const memberships = new Map<string, ReturnType<typeof inMesh.of>>()
      const members: ServicePorts[] = []
      for (const service of services.values()) {
        const ports = service['ports'] as Pick<ServicePorts, 'http' | 'tcp'>
        if (ports.http.length + ports.tcp.length === 0) continue
        const { namespace = '' } = service.metadata
        const membership = memberships.get(namespace) ?? inMesh.of(namespace)
        memberships.set(namespace, membership)
        if (membership === 'in') members.push({ key: keyOf(service), namespace, ...ports })
        if (membership === 'unknown') inMesh.ask(namespace)
        unknown ||= membership === 'unknown'
      }
      // before the first full look nothing is gone
      return unknown && found === undefined ? undefined : portsInMesh(members)
    }

    function touch(): void {
      const now = performance.now()
      pendingSince ??= now
      const { quietMs, longestMs } = now - changedAt < NEXT_BATCH.withinMs ? NEXT_BATCH : BATCH
      const pause = changes < PAUSE.free ? 0 : Math.min(PAUSE.longestMs, PAUSE.firstMs * 2 ** Math.min(changes - PAUSE.free, 10))
      const at = Math.max(Math.min(now + quietMs, pendingSince + longestMs), changedAt + pause)
      clearTimeout(timer)
      timer = after(Math.max(0, at - now), 'found ports', flush)
      timer.unref()
    }

    function flush(): void {
      pendingSince = undefined
      if (signal.aborted) return
      const now = look()
      if (now === undefined || JSON.stringify(now) === JSON.stringify(found)) return
      changes = performance.now() - changedAt > PAUSE.forgottenMs ? 1 : changes + 1
      changedAt = performance.now()
      found = now
      onChange([...asking])
    }

    inMesh.run(signal)
    for (const informer of [namespaces, services]) {
      const synced = informer.whenSynced()
      inBackground('found ports', informer.run(signal))
      inBackground(
        'found ports',
        synced.then(() => touch()),
      )
    }
    return {
      found: () => found,
      isForbidden: () => services.forbidden() || namespaces.forbidden(),
      stop: (): void => {
        clearTimeout(timer)
        controller.abort()
      },
    }
  }

  function update(): void {
    if (asking.size === 0) {
      watch?.stop()
      watch = undefined
    } else if (ended !== undefined && !ended.aborted) watch ??= startWatch(ended)
  }

  return {
    /** Watches as long as `signal` says. */
    run(signal: AbortSignal): void {
      ended = signal
      update()
    },
    /** Takes in a change of a SlimeBoot. */
    change(key: string): void {
      const spec = get(key)?.['spec']
      if (isJsonObject(spec) && enabledModules(spec).some(({ module }) => findsPorts(module))) asking.add(key)
      else asking.delete(key)
      update()
    },
    /** Facts of this SlimeBoot: nothing where it does not ask. */
    factsOf(boot: KubeObject): ClusterFacts {
      const key = keyOf(boot)
      if (!asking.has(key)) return {}
      const known = rememberedPorts(boot, live.labelled(ownerOf(boot).label)) ?? []
      const found = watch?.found()
      if (found === undefined) return { foundPorts: known, ...(watch?.isForbidden() === true ? { portsUnseen: true } : {}) }
      const now = Date.now()
      const graceMs = graceOf(boot)
      const foundPorts = portsToServe(known, found, now, graceMs)
      const leaveMs = nextLeaveMs(foundPorts, now, graceMs)
      if (leaveMs !== undefined) onLeave(key, Math.min(LONGEST_TIMER_MS, leaveMs + 50))
      return {
        foundPorts,
        ...(found.conflicts.length === 0 ? {} : { portConflicts: found.conflicts }),
        ...(found.leftOut.length === 0 ? {} : { portsLeftOut: found.leftOut }),
        ...(watch?.isForbidden() === true ? { portsUnseen: true } : {}),
      }
    },
  }
}

/** What the modules of a SlimeBoot have remembered, among `objects`; undefined: nothing, because they are not installed or find no ports. */
export function rememberedPorts(boot: KubeObject, objects: Iterable<KubeObject>): readonly FoundPort[] | undefined {
  const owner = ownerOf(boot)
  let known: Map<number, FoundPort> | undefined
  for (const object of objects) {
    const text = object.kind === 'ConfigMap' ? object.metadata.annotations?.[FOUND_PORTS_ANNOTATION] : undefined
    if (text === undefined || ownershipOf(object, owner) !== 'ours') continue
    known ??= new Map()
    // one that some module still has is not gone
    for (const port of parseFoundPorts(text)) if (port.goneSince === undefined || !known.has(port.port)) known.set(port.port, port)
  }
  return known === undefined ? undefined : [...known.values()].toSorted((a, b) => a.port - b.port)
}

/** The longest of its modules: a port is served by all of them. */
function graceOf({ spec }: KubeObject): number {
  const graces = enabledModules(isJsonObject(spec) ? spec : {})
    .filter(({ module }) => findsPorts(module))
    .map(({ module }) => (settingOf(module, 'cleanupPorts').value ? settingOf(module, 'portGraceMs').value : Infinity))
  return Math.max(...graces)
}

function portsText(service: KubeObject | undefined): string {
  return JSON.stringify(service?.['ports'] ?? { http: [], tcp: [] })
}

function slimService(service: KubeObject): KubeObject {
  const { name, namespace = '', uid = '', resourceVersion = '', labels } = service.metadata
  // a global-sidecar's own ports are what we make of others'
  const isOurs = name === GLOBAL_SIDECAR || labels?.[OWNER_LABEL] !== undefined
  const ports = isOurs ? { http: [], tcp: [] } : portsOfService(service)
  return { apiVersion: service.apiVersion, kind: service.kind, metadata: { name, namespace, uid, resourceVersion }, ports }
}

/** Labels that say whether a namespace is in the mesh (module/in-mesh.ts). */
const MESH_LABELS = ['istio-injection', 'istio.io/rev', 'istio.io/dataplane-mode']

function slimNamespace({ apiVersion, kind, metadata }: KubeObject): KubeObject {
  const { name, uid = '', resourceVersion = '', labels = {} } = metadata
  const kept = Object.fromEntries(Object.entries(labels).filter(([label]) => MESH_LABELS.includes(label)))
  return { apiVersion, kind, metadata: { name, uid, resourceVersion, labels: kept } }
}
