/** What works but deserves attention. */
import type { WarningReason } from '../../api/reasons.ts'
import { unknownHostsOf } from '../build-values.ts'
import { GLOBAL_SIDECAR_CLUSTER } from '../dispatch-cluster.ts'
import { hiddenFrom } from '../export-to.ts'
import { isLazyload, nameOf } from '../../../module/element.ts'
import { parsePort } from '../../../module/parse.ts'
import { describeFences, servedElsewhere } from '../module-scope.ts'
import { clusterNamespace, dispatchesOf, hasFence, portNumbersOf, portsOf, isForeignItem, kindOf, settingOf } from '../modules.ts'
import { isUpstreamApplication } from '../upstream.ts'
import { show, warning, type Warning } from '../problems.ts'
import { at, listAt } from '../../../module/read.ts'
import type { CheckInput } from './check.ts'

export function nothingEnabled({ modules }: CheckInput): Warning[] {
  return modules.length > 0
    ? []
    : [warning('NothingEnabled', 'spec.module', 'has no enabled module, so nothing is installed. Write enable: true in one.')]
}

export function repeatedPorts({ modules }: CheckInput): Warning[] {
  const first = new Map<number, string>()
  return modules.flatMap(({ path, module }) =>
    portsOf(module).entries.flatMap((value, index) => {
      const place = `${path}.${portsOf(module).path}[${index}]`
      const port = parsePort(value)
      const earlier = port === undefined ? undefined : first.get(port)
      if (port !== undefined && earlier === undefined) first.set(port, place)
      return earlier === undefined ? [] : [warning('DuplicatePort', place, `is ${show(value)}, as ${earlier} is; it is rendered once.`)]
    }),
  )
}

export function noPorts({ modules, mode }: CheckInput): Warning[] {
  const lazyload = modules.find(({ module }) => isLazyload(module))
  if (mode === 'none' || lazyload === undefined || modules.some(({ module }) => portsOf(module).entries.length > 0)) return []
  return [
    warning(
      'NoPorts',
      `${lazyload.path}.${portsOf(lazyload.module).path}`,
      'is empty, so no global-sidecar is installed. List the Service ports of the applications.',
    ),
  ]
}

/** Each fence has one module. */
export function sharedFences({ spec, mode, facts }: CheckInput): Warning[] {
  return [...servedElsewhere(spec, mode, facts.earlier)].flatMap(([path, left]) =>
    left.map(({ by, ...fences }) =>
      warning(
        'FencesShared',
        path,
        `leaves ${describeFences(fences)} to ${by}, which comes first. Give each module its own global.istioRev (with strictRev: true for those that name none) or its own general.namespaces.`,
      ),
    ),
  )
}

export function metricSource({ modules, mode }: CheckInput): Warning[] {
  const nothingSends = mode === 'none' || !modules.some(({ module }) => portsOf(module).entries.length > 0)
  return modules.flatMap(({ path, module }) => {
    if (!isLazyload(module)) return []
    const { value: source, said } = settingOf(module, 'source')
    if (source === 'accesslog') {
      const place = `${path}.${said?.place ?? 'global.misc.metric_source_type'}`
      if (nothingSends)
        return [
          warning(
            'AccessLogUnused',
            place,
            'is accesslog, but no global-sidecar is installed that sends logs, so nothing is learned. Use prometheus.',
          ),
        ]
      if (!hasFence(module))
        return [warning('AccessLogUnused', place, 'is accesslog, but the module has no fence, so no logs are sent to it.')]
      return []
    }
    if (said !== undefined || settingOf(module, 'prometheusAddress').said !== undefined) return []
    return [
      warning(
        'NoMetricSource',
        `${path}.metric.prometheus`,
        'has no address, so nothing is learned. Write the address and a query, or metric_source_type: accesslog.',
      ),
    ]
  })
}

/** What the mesh's own defaults keep from the one global-sidecar for all of it. */
export function hiddenHosts({ spec, mode, facts }: CheckInput): Warning[] {
  const namespace = clusterNamespace(spec)
  if (mode !== 'cluster' || facts.exportTo === undefined || typeof namespace !== 'string') return []
  const hidden = hiddenFrom(facts.exportTo, namespace)
  if (hidden.length === 0) return []
  return [
    warning(
      'HiddenHosts',
      'spec.component.globalSidecar.type',
      `is cluster, but ${hidden.map(({ setting }) => setting).join(' and ')} in the mesh's configuration: the global-sidecar in ${namespace} does not see ${hidden.map(({ kinds }) => kinds).join(' and ')} of other namespaces. Add ${namespace} to that list, or use type namespaced.`,
    ),
  ]
}

/** Hosts that the mesh does not know: without dispatches they may end at the global-sidecar, with dispatches but none for `*` they get no route (spec 5). */
export function unknownHosts({ spec, modules, mode, shape, facts }: CheckInput): Warning[] {
  if (mode === 'none') return []
  const ports = new Map<number, { path: string; dispatches: number; all: boolean }>()
  for (const { path, module } of modules) {
    const { path: place, entries: dispatches } = dispatchesOf(module)
    const all = settingOf(module, 'passthroughByDefault').value || dispatches.some((dispatch) => listAt(dispatch, 'domains').includes('*'))
    for (const port of portNumbersOf(module, facts.foundPorts)) {
      const before = ports.get(port) ?? { path: `${path}.${place}`, dispatches: 0, all: false }
      ports.set(port, { ...before, dispatches: before.dispatches + dispatches.length, all: before.all || all })
    }
  }
  const open = [...ports].filter(([, { all }]) => !all)
  const whole = mode === 'cluster' ? ', in the whole mesh' : ''
  return [
    warnAbout(
      open.filter(([, { dispatches }]) => dispatches > 0),
      'NoCatchAll',
      (numbers) =>
        `has no entry for "*": calls on port ${numbers} to hosts that no entry names get no route${whole}. ` +
        'Add "*" with cluster _GLOBAL_SIDECAR, or with PassthroughCluster to let them leave the mesh.',
    ),
    warnAbout(
      open.filter(([, { dispatches }]) => dispatches === 0 && unknownHostsOf(spec) === 'refuse'),
      'UnknownHostsStay',
      (numbers) =>
        `is empty: calls on port ${numbers} to hosts outside the mesh end at the global-sidecar, which does not know them${whole}. ` +
        'If there are such calls, dispatch these hosts to PassthroughCluster and "*" to _GLOBAL_SIDECAR' +
        (shape === 'pilot' ? '.' : ', or write component.globalSidecar.unknownHosts: passthrough.'),
    ),
  ].flat()
}

function warnAbout(
  ports: readonly [number, { readonly path: string }][],
  reason: WarningReason,
  say: (numbers: string) => string,
): Warning[] {
  const [first] = ports
  return first === undefined ? [] : [warning(reason, first[1].path, say(enumerate(ports.map(([port]) => port))))]
}

/** Names that Envoy or we know; in other letters they are clusters that do not exist, and every call there is a 503. */
const KNOWN_CLUSTERS = [GLOBAL_SIDECAR_CLUSTER, 'PassthroughCluster', 'BlackHoleCluster']
const lettersOf = (name: string): string => name.toLowerCase().replace(/[^a-z]/g, '')

export function unlikelyClusters({ modules }: CheckInput): Warning[] {
  return modules.flatMap(({ path, module }) =>
    dispatchesOf(module).entries.flatMap((dispatch, index) => {
      const cluster = at(dispatch, 'cluster')
      if (typeof cluster !== 'string') return []
      const place = `${path}.${dispatchesOf(module).path}[${index}].cluster`
      const meant = KNOWN_CLUSTERS.find((name) => name !== cluster && lettersOf(name) === lettersOf(cluster))
      if (meant !== undefined)
        return [warning('UnlikelyCluster', place, `is ${show(cluster)}, which no mesh has: calls there end with 503. Write ${meant}.`)]
      if (!/^[a-z]+:\/\//i.test(cluster)) return []
      return [
        warning(
          'UnlikelyCluster',
          place,
          `is ${show(cluster)}, an address and no cluster: calls there end with 503. Write the name of an Istio cluster, as outbound|80||egress.shop.svc.cluster.local.`,
        ),
      ]
    }),
  )
}

/** istiod 1.7 needs v1beta1 APIs that Kubernetes 1.22 removed (https://kubernetes.io/docs/reference/using-api/deprecation-guide/#v1-22). */
export function pilotTooOld({ shape, mode, facts }: CheckInput): Warning[] {
  const version = facts.kubernetesVersion
  if (shape !== 'pilot' || mode === 'none' || version === undefined) return []
  if (version.major === 1 && version.minor < 22) return []
  return [
    warning(
      'PilotTooOld',
      'spec.component.pilot',
      `is istiod 1.7, which does not run on Kubernetes ${version.major}.${version.minor}: it needs APIs removed in 1.22. Remove component.pilot to use the mesh's own istiod.`,
    ),
  ]
}

/** Parts of a bundle that this image has no program for. */
export function notRun({ modules }: CheckInput): Warning[] {
  return modules.flatMap(({ path, module }) =>
    isForeignItem(module)
      ? [
          warning(
            'NotRun',
            path,
            `is ${show(nameOf(module))} of kind ${show(kindOf(module))}, which is no lazyload: it does not run, the rest of its bundle does.`,
          ),
        ]
      : [],
  )
}

/** Upstream's image would take the place of the proxy. */
export function upstreamImage({ spec, mode, shape }: CheckInput): Warning[] {
  const image = at(spec, 'component', 'globalSidecar', 'image')
  if (mode === 'none' || shape === 'pilot' || !isUpstreamApplication(image)) return []
  return [
    warning(
      'NotNeeded',
      'spec.component.globalSidecar.image',
      "is upstream's application beside a proxy. Here the global-sidecar is a proxy of the mesh itself, with the image that Istio's injection gives it.",
    ),
  ]
}

export function unusedSettings({ spec, mode, shape }: CheckInput): Warning[] {
  const warnings: Warning[] = []
  if (shape === 'pilot' && mode === 'none') {
    warnings.push(
      warning('PilotUnused', 'spec.component.pilot', 'is enabled, but no global-sidecar is installed that needs it, so it is left out.'),
    )
  }
  const namespaces = listAt(spec, 'component', 'globalSidecar', 'namespace')
  if (mode === 'cluster' && namespaces.length > 0) {
    warnings.push(
      warning(
        'NamespacesUnused',
        'spec.component.globalSidecar.namespace',
        'is not used by type cluster: one global-sidecar in spec.namespace serves all namespaces.',
      ),
    )
  }
  return warnings
}

function enumerate(ports: readonly number[]): string {
  const shown = ports.slice(0, 10).join(', ')
  return ports.length > 10 ? `${shown} and ${ports.length - 10} more` : shown
}
