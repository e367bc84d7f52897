/** buildValues: a valid spec over the defaults becomes the plain object that templates see. */
import { isJsonObject, type Json, type JsonObject, type KubeObject } from '../../runtime/object.ts'
import { DEFAULTS, GLOBAL_SIDECAR_DEFAULTS } from './defaults.ts'
import { dispatchCluster } from './dispatch-cluster.ts'
import { InvalidSpecError } from './errors.ts'
import { type FoundPort, formatFoundPorts } from './found-ports.ts'
import { merge } from './merge.ts'
import { moduleConfig } from './module-config.ts'
import { listedNames, namespacesOf } from './module-namespaces.ts'
import { type EarlierScope, servedElsewhere, type ServedElsewhere } from './module-scope.ts'
import { resolveMode } from './mode.ts'
import { nameOf, processOf } from '../../module/element.ts'
import {
  clusterNamespace,
  clusterRoleOf,
  dispatchesOf,
  enabledModules,
  hasFence,
  findsPorts,
  isForeignItem,
  portNumbersOf,
  runBy,
  settingOf,
} from './modules.ts'
import { podPorts } from './pod-ports.ts'
import { pruneNulls } from './prune-nulls.ts'
import { isUpstreamApplication, upstreamRevision } from './upstream.ts'
import { at, listAt, numberAt, objectAt, textAt, textOrNumberAt } from '../../module/read.ts'
import type {
  AccessLogReceiver,
  ControllerValues,
  DispatchValues,
  GlobalSidecarPlace,
  GlobalSidecarValues,
  Mode,
  ModuleValues,
  PilotValues,
  Shape,
  UnknownHosts,
  Values,
  WormholePort,
} from './values.ts'

export interface ValuesOptions {
  /** The operator's defaults file: over the built-in defaults, under the spec. */
  readonly operatorDefaults?: JsonObject
  /** Modules of SlimeBoots that come before this one, and serve some of the same fences. */
  readonly earlier?: readonly EarlierScope[]
  /** What `wormholePort: auto` serves. */
  readonly foundPorts?: readonly FoundPort[]
}

/** The spec as values: built-in defaults, then the operator's, then `spec` (merge.ts). A spec that is no object reads as empty. */
export function mergedSpec(boot: KubeObject, options: ValuesOptions = {}): JsonObject {
  return merge(merge(DEFAULTS, options.operatorDefaults ?? {}), isJsonObject(boot.spec) ? pruneNulls(boot.spec) : {})
}

/**
 * Values of a SlimeBoot that `validate` found without errors, called with the same options.
 * Throws InvalidSpecError when a dispatch template cannot be run.
 */
export function buildValues(boot: KubeObject, options: ValuesOptions = {}): Values {
  const raw = mergedSpec(boot, options)
  const namespace = textAt(raw, 'namespace') ?? ''
  const istioNamespace = textAt(raw, 'istioNamespace') ?? ''
  const { mode } = resolveMode(raw)
  const ports = mode === 'none' ? [] : wormholePorts(raw, options.foundPorts)
  const elsewhere = servedElsewhere(raw, mode, options.earlier)
  const globalSidecars = ports.length === 0 ? [] : places(raw, mode, namespace, istioNamespace)
  const shape = shapeOf(raw)
  return {
    boot: { name: boot.metadata.name, namespace: boot.metadata.namespace ?? '' },
    raw,
    namespace,
    istioNamespace,
    mode,
    shape,
    controller: controllerValues(raw),
    modules: enabledModules(raw)
      .filter(({ module }) => !isForeignItem(module))
      .map(({ module }) => moduleValues(module, raw, mode, elsewhere)),
    ports,
    ...(mode === 'none' || options.foundPorts === undefined || !enabledModules(raw).some(({ module }) => findsPorts(module))
      ? {}
      : { foundPorts: formatFoundPorts(options.foundPorts) }),
    globalSidecars,
    globalSidecar: globalSidecarValues(raw),
    ...(shape === 'pilot' && globalSidecars.length > 0 ? { pilot: pilotValues(raw) } : {}),
    accessLogs: globalSidecars.length === 0 ? [] : accessLogsOf(raw, namespace, mode),
  }
}

/** The tutorial's shape when its pilot is enabled, else the stock one (design 7). */
export function shapeOf(spec: JsonObject): Shape {
  return at(spec, 'component', 'pilot', 'enable') === true ? 'pilot' : 'stock'
}

/** The tutorial's global-sidecar has no way out for unknown hosts. */
export function unknownHostsOf(spec: JsonObject): UnknownHosts {
  if (shapeOf(spec) === 'pilot') return 'refuse'
  return textAt(spec, 'component', 'globalSidecar', 'unknownHosts') === 'refuse' ? 'refuse' : GLOBAL_SIDECAR_DEFAULTS.unknownHosts
}

/** `repository:tag`, `repository@sha256:…` when the tag is a digest, or the repository alone; undefined without a repository. */
export function imageOf(image: unknown): string | undefined {
  const repository = textAt(image, 'repository')
  const tag = textAt(image, 'tag')
  if (repository === undefined || repository === '') return undefined
  if (tag === undefined || tag === '') return repository
  return `${repository}${tag.startsWith('sha256:') ? '@' : ':'}${tag}`
}

function controllerValues(raw: JsonObject): ControllerValues {
  return {
    image: imageOf(at(raw, 'image')) ?? '',
    imagePullPolicy: textAt(raw, 'image', 'pullPolicy') ?? 'Always',
    replicas: numberAt(raw, 'replicaCount') ?? 1,
    resources: objectAt(raw, 'resources'),
    imagePullSecrets: listAt(raw, 'imagePullSecrets'),
    nodeSelector: objectAt(raw, 'nodeSelector'),
    tolerations: listAt(raw, 'tolerations'),
    affinity: objectAt(raw, 'affinity'),
    podSecurityContext: objectAt(raw, 'podSecurityContext'),
    containerSecurityContext: objectAt(raw, 'containerSecurityContext'),
    createServiceAccount: at(raw, 'serviceAccount', 'create') === true,
    service: {
      type: textAt(raw, 'service', 'type') ?? 'ClusterIP',
      port: numberAt(raw, 'service', 'port') ?? 80,
      logSourcePort: logSourceServicePort(raw),
    },
    volumes: listAt(raw, 'volumes'),
    volumeMounts: [...listAt(raw, 'containers', 'slime', 'volumeMounts'), ...listAt(raw, 'volumeMounts')],
    env: listAt(raw, 'env'),
  }
}

function logSourceServicePort(raw: JsonObject): number {
  return numberAt(raw, 'service', 'logSourcePort') ?? 8082
}

function moduleValues(
  module: JsonObject,
  raw: JsonObject,
  mode: Mode,
  elsewhere: ReadonlyMap<string, readonly ServedElsewhere[]>,
): ModuleValues {
  const namespaces = namespacesOf(module, raw, mode)
  return {
    name: nameOf(module),
    bundleItem: at(module, 'mode') === 'BundleItem',
    config: moduleConfig(module, raw, mode, elsewhere),
    clusterRole: clusterRoleOf(module) ?? '',
    ports: podPorts(raw, runBy(raw, module)),
    ...(namespaces === undefined ? {} : { namespaces }),
  }
}

/** Ports of all enabled modules, each once; a port's dispatches are those of every module that lists it, in order. */
function wormholePorts(raw: JsonObject, found: readonly FoundPort[] | undefined): WormholePort[] {
  const byPort = new Map<number, DispatchValues[]>()
  for (const { path, module } of enabledModules(raw)) {
    const { path: place, entries } = dispatchesOf(module)
    const dispatches = withPassthrough(
      entries.map((dispatch, index) => dispatchValues(dispatch, `${path}.${place}[${index}]`, raw)),
      module,
    )
    for (const port of portNumbersOf(module, found)) byPort.set(port, [...(byPort.get(port) ?? []), ...dispatches])
  }
  return [...byPort].map(([port, dispatches]) => ({ port, dispatches }))
}

function dispatchValues(dispatch: Json, path: string, raw: JsonObject): DispatchValues {
  const { cluster, problems } = dispatchCluster(textAt(dispatch, 'cluster') ?? '', `${path}.cluster`, raw)
  if (problems.length > 0) throw new InvalidSpecError(problems)
  const domainRegex = textAt(dispatch, 'domainRegex')
  return {
    name: textOrNumberAt(dispatch, 'name'),
    domains: listAt(dispatch, 'domains').map(String),
    cluster,
    ...(domainRegex === undefined || domainRegex === '' ? {} : { domainRegex }),
  }
}

/** `general.passthroughByDefault`: what no dispatch names leaves as if there were no lazyload. */
function withPassthrough(dispatches: readonly DispatchValues[], module: JsonObject): readonly DispatchValues[] {
  const named = dispatches.some(({ domains }) => domains.includes('*'))
  if (!settingOf(module, 'passthroughByDefault').value || named) return dispatches
  return [...dispatches, { name: 'pass_through', domains: ['*'], cluster: 'PassthroughCluster' }]
}

function places(raw: JsonObject, mode: Mode, namespace: string, istioNamespace: string): GlobalSidecarPlace[] {
  if (mode === 'cluster')
    return [{ namespace: textAt({ of: clusterNamespace(raw) ?? null }, 'of') ?? namespace, filterNamespace: istioNamespace }]
  return [...new Set(listedNames(raw))].map((each) => ({ namespace: each, filterNamespace: each }))
}

function globalSidecarValues(raw: JsonObject): GlobalSidecarValues {
  const component = objectAt(raw, 'component', 'globalSidecar')
  const image = isUpstreamApplication(at(component, 'image')) ? undefined : imageOf(at(component, 'image'))
  const revision = textAt(component, 'revision') ?? upstreamRevision(component)
  const priorityClassName = textAt(component, 'priorityClassName')
  return {
    ...(image === undefined ? {} : { image }),
    imagePullSecrets: listAt(component, 'imagePullSecrets'),
    resources: objectAt(component, 'resources'),
    replicas: numberAt(component, 'replicas') ?? GLOBAL_SIDECAR_DEFAULTS.replicas,
    ...(revision === undefined ? {} : { revision }),
    nodeSelector: objectAt(component, 'nodeSelector'),
    tolerations: listAt(component, 'tolerations'),
    affinity: objectAt(component, 'affinity'),
    ...(priorityClassName === undefined ? {} : { priorityClassName }),
    networkPolicy: at(component, 'networkPolicy') === true,
    unknownHosts: unknownHostsOf(raw),
  }
}

function pilotValues(raw: JsonObject): PilotValues {
  const component = objectAt(raw, 'component', 'pilot')
  return {
    image: imageOf(at(component, 'image')) ?? '',
    imagePullSecrets: listAt(component, 'imagePullSecrets'),
    resources: objectAt(component, 'resources'),
  }
}

/** The one that has always been there; further modules append their name to it. */
const ACCESS_LOG_CLUSTER = 'lazyload-accesslog-source'

/** Where global-sidecars send their access log: the process of each enabled module with a fence that learns from it. */
function accessLogsOf(raw: JsonObject, namespace: string, mode: Mode): readonly AccessLogReceiver[] {
  const modules = enabledModules(raw).map(({ module }) => module)
  const receivers = modules.filter((module) => hasFence(module) && settingOf(runBy(raw, module), 'source').value === 'accesslog')
  const processes = [...new Map(receivers.map((module) => [nameOf(processOf(module, modules)), module]))]
  return processes.map(([name, module], index) => {
    const namespaces = namespacesOf(module, raw, mode)
    return {
      cluster: index === 0 ? ACCESS_LOG_CLUSTER : `${ACCESS_LOG_CLUSTER}-${name}`,
      address: `${name}.${namespace}`,
      port: logSourceServicePort(raw),
      ...(namespaces === undefined ? {} : { namespaces }),
    }
  })
}
