/** What is watched: one informer per kind, the indexes made of them, and which fences or Services each change concerns. */
import { isDeepStrictEqual } from 'node:util'
import type { Client } from '../runtime/client.ts'
import { guarded } from '../runtime/callbacks.ts'
import { messageOf } from '../runtime/errors.ts'
import { type ChangeSource, createInformer, type Informer, type InformerOptions, type InformerProblem } from '../runtime/informer.ts'
import { keyOf, type KubeObject, objectId } from '../runtime/object.ts'
import { resourceName, type ResourceType } from '../runtime/resource.ts'
import {
  CATCH_ALL,
  ENDPOINT_SLICE,
  ENVOY_FILTER,
  GLOBAL_SIDECAR,
  MUTATING_WEBHOOK,
  NAMESPACE,
  REVISION_LABEL,
  SERVICE,
  SERVICE_ENTRY,
  SERVICE_FENCE,
  SIDECAR,
  VIRTUAL_SERVICE,
} from './kinds.ts'
import { createConcerned } from './concerned.ts'
import { createAskedHosts } from './mesh/asked-hosts.ts'
import { MODULE_ANNOTATION } from './auto-fence/decision.ts'
import { createEndpointIndex, SERVICE_NAME, slimEndpointSlice } from './mesh/endpoints.ts'
import { createGlobalSidecars, type GlobalSidecarsOptions, slimCatchAll, slimReadiness } from './mesh/global-sidecars.ts'
import { createGoneSince } from './mesh/gone-since.ts'
import { serviceOf } from './mesh/host-name.ts'
import { createKnownHosts, slimService, slimServiceEntry } from './mesh/known-hosts.ts'
import type { Labels } from './mesh/label-index.ts'
import { createVirtualServiceIndex, mayLookAtCaller, slimVirtualService } from './mesh/virtual-services.ts'
import { createRevisions, slimWebhook } from './mesh/revisions.ts'
import { createNamespaceWideIndex } from './sidecar/namespace-wide.ts'
import { createSidecarPrecedence } from './sidecar/precedence.ts'
import { slimSidecar } from './sidecar/writer.ts'

export interface CacheOptions {
  readonly client: Pick<Client, 'list' | 'watch'>
  /** EndpointSlices of all Services are only read for the access log. */
  readonly endpoints: boolean
  readonly hosts: GlobalSidecarsOptions['hosts']
  readonly istioNamespace: string
  readonly inScope: (object: KubeObject) => boolean
  readonly onFence: (previous: KubeObject | undefined, current: KubeObject | undefined, source: ChangeSource) => void
  readonly onSidecar: (key: string) => void
  /** A Sidecar with one of these selectors came, went or changed in a way that matters to other Sidecars of its namespace. */
  readonly onPrecedence: (namespace: string, selectors: readonly Labels[]) => void
  /** Names of revisions and tags may mean something else. */
  readonly onRevisions: () => void
  /** The first pod of this Service came, or its last went. */
  readonly onPods: (service: string) => void
  readonly onService: (previous: KubeObject | undefined, current: KubeObject | undefined) => void
  /** Its labels or its existence changed. */
  readonly onNamespace: (name: string) => void
  /** A Sidecar for all pods of this namespace is another one now. */
  readonly onNamespaceWide: (namespace: string) => void
  readonly onServiceEntry: (previous: KubeObject | undefined, current: KubeObject | undefined) => void
  /** A VirtualService that looks at the caller, or that others delegate to, is another one now. */
  readonly onCallerRoutes: () => void
  /** Requests for these hosts may be routed otherwise now. */
  readonly onRoutes: (hosts: readonly string[]) => void
  /** A global-sidecar came, went or may have become reachable or not: for this namespace, or for all. */
  readonly onGlobalSidecar: (namespace: string | undefined) => void
  readonly onExternalHosts: (hosts: readonly string[]) => void
  readonly onProblem: (problem: InformerProblem) => void
  /** A kind can be watched again. */
  readonly onRegained: () => void
}

/** Every Kubernetes has them. */
const BUILT_IN: readonly ResourceType[] = [SERVICE, NAMESPACE, ENDPOINT_SLICE]

export function createCaches(options: CacheOptions) {
  const { client, inScope, onProblem, onRegained } = options
  const endpoints = createEndpointIndex()
  const routes = createVirtualServiceIndex()
  const namespaceWide = createNamespaceWideIndex()

  type OnChange = (previous: KubeObject | undefined, current: KubeObject | undefined, source: ChangeSource) => void
  type Selector = Pick<InformerOptions, 'labelSelector' | 'fieldSelector'>
  const informer = (
    type: ResourceType,
    onChange: OnChange,
    transform: (object: KubeObject) => KubeObject,
    selector: Selector = {},
  ): Informer =>
    createInformer({ client, type, onChange, onProblem, onRegained, paged: true, builtIn: BUILT_IN.includes(type), transform, ...selector })
  const seen = (object: KubeObject | undefined): KubeObject | undefined => (object !== undefined && inScope(object) ? object : undefined)

  /** Each index takes in a change even if another one cannot. */
  const inTurn =
    (...handlers: readonly OnChange[]): OnChange =>
    (...change) => {
      for (const handler of handlers)
        guarded<Parameters<OnChange>>('watch', (previous, current) => objectId((current ?? previous)!), handler)(...change)
    }
  const concerned = createConcerned((key) => services.get(key))

  const fences = informer(SERVICE_FENCE, inTurn(concerned.changeFence, options.onFence), slimFence)
  const sidecars = informer(
    SIDECAR,
    (previous, current, source) => {
      const { namespace = '' } = (current ?? previous)!.metadata
      const selectors = precedence.change(previous, current)
      if (selectors.length > 0) options.onPrecedence(namespace, selectors)
      if (source === 'watch') options.onSidecar(keyOf((current ?? previous)!))
      if (namespaceWide.change(previous, current) !== undefined) options.onNamespaceWide(namespace)
    },
    slimSidecar,
  )
  const revisions = createRevisions()
  // forbidden for long, it need not be said again and again
  let said = ''
  const webhooks = createInformer({
    client,
    type: MUTATING_WEBHOOK,
    labelSelector: REVISION_LABEL,
    transform: slimWebhook,
    builtIn: true,
    onChange: changeRevisions,
    onRegained,
    onProblem(problem) {
      if (said !== messageOf(problem.error)) onProblem(problem)
      said = messageOf(problem.error)
    },
  })
  const precedence = createSidecarPrecedence()
  const gone = createGoneSince()
  const services: Informer = informer(
    SERVICE,
    inTurn(
      gone.change,
      (previous, current) => askedHosts.changeService(previous, current),
      concerned.changeService,
      (previous, current) => {
        // istiod's own Services
        if ((current ?? previous)!.metadata.namespace === options.istioNamespace) changeRevisions(previous, current)
      },
      options.onService,
      (previous, current) => {
        const { name, namespace = '' } = (current ?? previous)!.metadata
        if (name === GLOBAL_SIDECAR && (previous === undefined || current === undefined)) globalSidecars.changeService(namespace)
      },
    ),
    slimService,
  )
  const namespaces = informer(
    NAMESPACE,
    (previous, current) => {
      if (
        previous === undefined ||
        current === undefined ||
        !isDeepStrictEqual(previous.metadata.labels, current.metadata.labels) ||
        current.metadata.deletionTimestamp !== undefined
      )
        options.onNamespace((current ?? previous)!.metadata.name)
    },
    slimNamespace,
  )
  const virtualServices = informer(
    VIRTUAL_SERVICE,
    (previous, current) => {
      const hosts = routes.change(seen(previous), seen(current))
      if (hosts.length > 0) options.onRoutes(hosts)
      if ([previous, current].some(mayLookAtCaller)) options.onCallerRoutes()
    },
    slimVirtualService,
  )
  const knownHosts = createKnownHosts({ hasService: (key) => services.get(key) !== undefined, hasVirtualService: routes.has })
  const askedHosts = createAskedHosts({ known: knownHosts, service: services.get, servicesOf: endpoints.servicesOf })
  const serviceEntries = informer(
    SERVICE_ENTRY,
    (previous, current) => {
      knownHosts.changeEntry(previous, current)
      options.onServiceEntry(previous, current)
      options.onExternalHosts([previous, current].flatMap((entry) => (entry?.['hosts'] ?? []) as readonly string[]))
    },
    slimServiceEntry,
  )
  const globalSidecars = createGlobalSidecars({
    hosts: options.hosts,
    hasService: (key) => services.get(key) !== undefined,
    onChange: options.onGlobalSidecar,
  })
  // selected by name, so that a mesh with many of them costs no memory
  const gates =
    options.hosts.mode === 'no'
      ? []
      : [
          informer(ENVOY_FILTER, globalSidecars.changeFilter, slimCatchAll, { fieldSelector: `metadata.name=${CATCH_ALL}` }),
          informer(ENDPOINT_SLICE, globalSidecars.changeSlice, slimReadiness, { labelSelector: `${SERVICE_NAME}=${GLOBAL_SIDECAR}` }),
        ]
  const slices = options.endpoints ? [informer(ENDPOINT_SLICE, changeSlice, slimEndpointSlice)] : []

  function changeRevisions(previous: KubeObject | undefined, current: KubeObject | undefined): void {
    if (!revisions.change(previous, current)) return
    // those of a tag may be in scope now, or no more
    for (const route of virtualServices.values()) routes.change(route, seen(route))
    options.onRevisions()
  }

  function changeSlice(previous: KubeObject | undefined, current: KubeObject | undefined): void {
    endpoints.change(previous, current)
    const [before, after] = [previous, current].map((slice) => ((slice?.['addresses'] ?? []) as readonly string[]).length > 0)
    const service = (current ?? previous)?.['service']
    if (before !== after && typeof service === 'string' && service !== '') options.onPods(service)
  }

  return {
    fences,
    concerned,
    sidecars,
    services,
    namespaces,
    routes,
    knownHosts,
    askedHosts,
    namespaceWide,
    endpoints,
    globalSidecars,
    revisions,
    precedence,
    /** Which revisions and tags there are cannot be seen in full. */
    revisionsUnseen: webhooks.blind,
    /** Since when (milliseconds since 1970) a host of the cluster's own domain has neither a Service nor anything else; undefined: it has. */
    absentSince(host: string): number | undefined {
      const key = serviceOf(host)
      return key === undefined || knownHosts.resolve(host, '') !== undefined ? undefined : gone.since(key)
    },
    /** Of what hosts are computed from, the resources that cannot be seen now. */
    unseen: (): readonly string[] =>
      [services, virtualServices, serviceEntries].filter(({ blind }) => blind()).map(({ type }) => resourceName(type)),
    /** Of what tells whether a global-sidecar can be reached, the resources that cannot be seen now. */
    unseenGates: (): readonly string[] => gates.filter(({ blind }) => blind()).map(({ type }) => resourceName(type)),
    informers: [fences, sidecars, services, namespaces, virtualServices, serviceEntries, ...slices, ...gates] as readonly Informer[],
    /** Without their first list nothing may be written; without that of the others only no Sidecar is made. */
    needed: [fences, sidecars, services, namespaces, virtualServices, serviceEntries, ...slices] as readonly Informer[],
    /** Fences are served without it too. */
    optional: [webhooks] as readonly Informer[],
  }
}

function slimNamespace(object: KubeObject): KubeObject {
  const { name, uid = '', resourceVersion = '', labels, deletionTimestamp } = object.metadata
  return {
    apiVersion: object.apiVersion,
    kind: object.kind,
    metadata: {
      name,
      uid,
      resourceVersion,
      ...(labels === undefined ? {} : { labels }),
      ...(deletionTimestamp === undefined ? {} : { deletionTimestamp }),
    },
  }
}

function slimFence(object: KubeObject): KubeObject {
  const { managedFields: _, annotations, ...metadata } = object.metadata
  const module = annotations?.[MODULE_ANNOTATION]
  return { ...object, metadata: module === undefined ? metadata : { ...metadata, annotations: { [MODULE_ANNOTATION]: module } } }
}
