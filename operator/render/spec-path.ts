/** Which field of a SlimeBoot produced a rendered field, so that an API server's refusal can be traced to what the user wrote. */
import type { KubeObject } from '../../runtime/object.ts'
import { OWN_VHOSTS } from './context.ts'
import type { Manifest } from './manifest.ts'

/** A rendered path and what it comes from; whatever follows the path is appended to the origin, unless the origin is one text (`whole`). */
interface Rule {
  readonly path: RegExp
  readonly origin: (match: RegExpExecArray, object: KubeObject) => string | undefined
  readonly whole: boolean
}

/**
 * The SlimeBoot field behind `fieldPath` of a rendered object, or undefined where no field of the SlimeBoot decides.
 * Both spellings of an API server are read: `spec.ports[0].port`, and `.spec.template.spec.containers[name="slime"].image` of server-side apply.
 * A module is named, not counted: `spec.module[name=lazyload].clusterRole`.
 */
export function specPathOf(manifest: Manifest, fieldPath: string): string | undefined {
  const { object, template, namespaceField } = manifest
  const path = withIndexes(object, fieldPath.replace(/^\./, ''))
  if (path === 'metadata.namespace') return namespaceField
  for (const rule of rulesFor(template)) {
    const match = rule.path.exec(path)
    const rest = match === null ? '' : path.slice(match[0].length)
    if (match === null || !/^([.[]|$)/.test(rest)) continue
    const origin = rule.origin(match, object)
    if (origin !== undefined) return rule.whole ? origin : origin + rest
  }
  return undefined
}

const POD = 'spec.template.spec'
const CONTAINER = `${POD}.containers[0]`

/** The field is copied with everything below it. */
const copied = (path: string, origin: string): Rule => ({ path: starting(path), origin: () => origin, whole: false })
/** Several fields of the SlimeBoot, or part of one, make this one. */
const made = (path: string | RegExp, origin: Rule['origin']): Rule => ({
  path: typeof path === 'string' ? starting(path) : path,
  origin,
  whole: true,
})
/** Items after our own first `ours` ones are copied from a list of the SlimeBoot. */
const appended = (path: string, ours: number, origin: string): Rule => ({
  path: new RegExp(`${starting(path).source}\\[(\\d+)\\]`),
  origin: (match) => (Number(match[1]) < ours ? undefined : `${origin}[${Number(match[1]) - ours}]`),
  whole: false,
})

const podSettings = (origin: string): Rule[] =>
  ['imagePullSecrets', 'nodeSelector', 'affinity', 'tolerations'].map((field) => copied(`${POD}.${field}`, `${origin}.${field}`))

const moduleName = ({ metadata }: KubeObject): string => `spec.module[name=${metadata.name}]`
const MODULE_NAME: Rule = made('metadata.name', (_, object) => `${moduleName(object)}.name`)
/** The name is `<module>.<namespace>`. */
const moduleOfName = ({ metadata }: KubeObject): string => `spec.module[name=${metadata.name.split('.')[0]}]`
const MODULE_OF_NAME: Rule = made('metadata.name', (_, object) => `${moduleOfName(object)}.name`)
const WORMHOLE_PORT = 'spec.module[].fence.wormholePort'

const globalSidecarPods: readonly Rule[] = [
  made(`${CONTAINER}.image`, () => 'spec.component.globalSidecar.image'),
  copied(`${CONTAINER}.resources`, 'spec.component.globalSidecar.resources'),
  made('spec.replicas', () => 'spec.component.globalSidecar.replicas'),
  // the API server leaves "metadata" out
  made(/^spec\.template(?:\.metadata)?\.labels(\[istio\.io\/rev\]|\.istio\.io\/rev)?/, () => 'spec.component.globalSidecar.revision'),
  made(`${POD}.priorityClassName`, () => 'spec.component.globalSidecar.priorityClassName'),
  ...podSettings('spec.component.globalSidecar'),
]

const RULES: Readonly<Record<string, readonly Rule[]>> = {
  'module/service-account.yaml.hbs': [MODULE_NAME],
  'module/cluster-role-binding.yaml.hbs': [MODULE_NAME, made('roleRef', (_, object) => `${moduleName(object)}.clusterRole`)],
  'module/cluster-role-binding-reader.yaml.hbs': [MODULE_OF_NAME],
  'module/role-binding-namespace.yaml.hbs': [MODULE_OF_NAME, made('roleRef', (_, object) => `${moduleOfName(object)}.clusterRole`)],
  'module/role-binding.yaml.hbs': [MODULE_NAME],
  'module/config-map.yaml.hbs': [MODULE_NAME, made('data', (_, object) => moduleName(object))],
  'module/service.yaml.hbs': [
    MODULE_NAME,
    made('spec.type', () => 'spec.service.type'),
    made('spec.ports[0].port', () => 'spec.service.port'),
    made('spec.ports[1].port', () => 'spec.service.logSourcePort'),
  ],
  'module/deployment.yaml.hbs': [
    MODULE_NAME,
    made('spec.replicas', () => 'spec.replicaCount'),
    made(`${CONTAINER}.image`, () => 'spec.image'),
    made(`${CONTAINER}.imagePullPolicy`, () => 'spec.image.pullPolicy'),
    copied(`${CONTAINER}.resources`, 'spec.resources'),
    copied(`${CONTAINER}.securityContext`, 'spec.containerSecurityContext'),
    made(`${CONTAINER}.ports[1]`, () => 'spec.healthProbePort'),
    made(`${CONTAINER}.ports[2]`, () => 'spec.logSourcePort'),
    appended(`${CONTAINER}.env`, 3, 'spec.env'),
    appended(`${CONTAINER}.volumeMounts`, 1, 'spec.containers.slime.volumeMounts'),
    appended(`${POD}.volumes`, 1, 'spec.volumes'),
    copied(`${POD}.securityContext`, 'spec.podSecurityContext'),
    ...podSettings('spec'),
  ],
  'pilot/deployment.yaml.hbs': [
    made(`${CONTAINER}.image`, () => 'spec.component.pilot.image'),
    copied(`${CONTAINER}.resources`, 'spec.component.pilot.resources'),
    copied(`${POD}.imagePullSecrets`, 'spec.component.pilot.imagePullSecrets'),
  ],
  'global-sidecar/deployment-pilot.yaml.hbs': globalSidecarPods,
  'global-sidecar/deployment-stock.yaml.hbs': globalSidecarPods,
  'global-sidecar/service.yaml.hbs': [made('spec.ports', () => WORMHOLE_PORT)],
  'global-sidecar/sidecar.yaml.hbs': [made('spec.egress', () => WORMHOLE_PORT)],
  'global-sidecar/network-policy.yaml.hbs': [made('spec.ingress', () => WORMHOLE_PORT)],
  'global-sidecar/config-map-accesslog-source.yaml.hbs': [made('data', () => 'spec.service.logSourcePort')],
  'global-sidecar/envoy-filter-guard.yaml.hbs': [
    made(/^spec\.configPatches\[(\d+)\]\.match\.routeConfiguration\.vhost\.name/, ([, patch], object) =>
      dispatchOf(valueAt(object, ['spec', 'configPatches', patch, 'match', 'routeConfiguration', 'vhost', 'name']), '.name'),
    ),
    made('spec.configPatches', () => WORMHOLE_PORT),
  ],
  'global-sidecar/envoy-filter-to-global-sidecar.yaml.hbs': [
    made(
      /^spec\.configPatches\[(\d+)\]\.patch\.value\.virtual_hosts\[(\d+)\](?:\.routes\[0\]\.route)?(\.name|\.domains|\.cluster)?(\[\d+\])?/,
      (match, object) => {
        const [, patch, vhost, field = '', index = ''] = match
        return dispatchOf(
          valueAt(object, ['spec', 'configPatches', patch, 'patch', 'value', 'virtual_hosts', vhost, 'name']),
          field + index,
        )
      },
    ),
    made('spec.configPatches', () => WORMHOLE_PORT),
  ],
}

function rulesFor(template: string): readonly Rule[] {
  return RULES[template.replace(/^templates\//, '')] ?? []
}

/** The dispatch behind a virtual host; none for the one that is there without dispatches. */
function dispatchOf(vhost: unknown, field: string): string | undefined {
  return typeof vhost !== 'string' || isOurs(vhost) ? undefined : `spec.module[].fence.dispatches[name=${vhost}]${field}`
}

/** The virtual hosts of Istio and of the templates themselves. */
function isOurs(vhost: string): boolean {
  return OWN_VHOSTS.has(vhost) || /^global-sidecar\.[^.]+\.svc\.cluster\.local:\d+$/.test(vhost)
}

/** `containers[name="slime"]` -> `containers[0]`, looked up in the object. A selector that selects nothing stays as it is. */
function withIndexes(object: KubeObject, path: string): string {
  let result = ''
  for (const part of path.match(/\[[^\]]*\]|\.?[^.[]+/g) ?? []) {
    const selector = /^\[(.+=.+)\]$/.exec(part)?.[1]
    result += selector === undefined ? part : `[${indexOf(valueAt(object, result.split(/[.[\]]+/).filter(Boolean)), selector) ?? selector}]`
  }
  return result
}

/** Position of the list item that has all the `key="value"` pairs of a selector. */
function indexOf(list: unknown, selector: string): number | undefined {
  if (!Array.isArray(list)) return undefined
  const pairs = selector.split(',').map((pair) => pair.split('=', 2))
  const index = list.findIndex((item) => pairs.every(([key, value]) => String(valueAt(item, [key])) === value?.replaceAll('"', '')))
  return index < 0 ? undefined : index
}

function valueAt(value: unknown, keys: readonly (string | undefined)[]): unknown {
  return keys.reduce<unknown>(
    (at, key) => (typeof at === 'object' && at !== null && key !== undefined ? (at as Record<string, unknown>)[key] : undefined),
    value,
  )
}

function starting(path: string): RegExp {
  return new RegExp(`^${path.replace(/[.[\]]/g, String.raw`\$&`)}`)
}
