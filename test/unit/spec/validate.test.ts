import assert from 'node:assert/strict'
import { test } from 'node:test'
import { InvalidSpecError } from '../../../operator/spec/errors.ts'
import type { ClusterFacts } from '../../../operator/spec/cluster-facts.ts'
import { validate } from '../../../operator/spec/validate.ts'
import type { Json, JsonObject } from '../../../runtime/object.ts'
import { bootWith, CLUSTER, lazyload, validSpec } from '../../helpers/specs.ts'

interface Case {
  readonly title: string
  /** Top-level keys that replace those of a valid spec. */
  readonly parts: JsonObject
  readonly facts?: ClusterFacts
  /** Paths under `spec`, all of them and in this order. */
  readonly paths: readonly string[]
  /** Text that the first message must have. */
  readonly says?: string
}

const PORT = 'module[0].fence.wormholePort'
const DISPATCH = 'module[0].fence.dispatches'
const GS = 'component.globalSidecar'
const withFence = (fence: JsonObject): JsonObject => ({ module: [lazyload({ fence })] })
const withPorts = (...wormholePort: Json[]): JsonObject => withFence({ wormholePort })
const withDispatches = (...dispatches: Json[]): JsonObject => withFence({ wormholePort: ['80'], dispatches })
const withMisc = (misc: JsonObject): JsonObject => ({ module: [lazyload({ global: { misc } })] })
const withSidecar = (globalSidecar: JsonObject): JsonObject => ({ component: { globalSidecar } })
const dispatch = (...domains: string[]): JsonObject => ({ name: 'x', domains, cluster: 'PassthroughCluster' })
const image = { repository: 'r' }
const PILOT: JsonObject = { globalSidecar: { type: 'cluster', image }, pilot: { enable: true, image } }
const mounts = (...volumeMounts: Json[]): JsonObject => ({
  volumes: [{ name: 'data', emptyDir: {} }],
  containers: { slime: { volumeMounts } },
})

const ERRORS: readonly Case[] = [
  {
    title: 'resources that are no quantities',
    parts: { resources: { limits: { cpu: 'abc', memory: '1Gb' }, requests: { cpu: '-1', memory: '0.5Gi' } } },
    paths: ['resources.requests.cpu', 'resources.limits.cpu', 'resources.limits.memory'],
    says: 'must be a quantity',
  },
  {
    title: 'a revision that is no label value',
    parts: withSidecar({ type: 'cluster', revision: 'bad rev' }),
    paths: [`${GS}.revision`],
    says: 'must be a label value (letters, digits, "-", "_" and ".", at most 63 characters), got "bad rev"',
  },
  { title: 'a revision that is too long', parts: withSidecar({ type: 'cluster', revision: 'r'.repeat(64) }), paths: [`${GS}.revision`] },
  {
    title: 'a dispatch named like a virtual host of the mesh',
    parts: withDispatches({ name: 'details.default.svc.cluster.local:9080', domains: ['a.com'], cluster: 'x' }),
    paths: [`${DISPATCH}[0].name`],
    says: 'virtual hosts',
  },
  {
    title: 'unknown type',
    parts: withSidecar({ type: 'namespacd', namespace: ['a'] }),
    paths: [`${GS}.type`],
    says: 'must be namespaced or cluster, got "namespacd"',
  },
  { title: 'no type', parts: withSidecar({ enable: true }), paths: [`${GS}.type`], says: 'got nothing' },
  { title: 'type that is a map', parts: withSidecar({ type: {} }), paths: [`${GS}.type`] },
  {
    title: 'unknown mode',
    parts: withMisc({ 'global-sidecar-mode': true }),
    paths: ['module[0].global.misc.global-sidecar-mode'],
    says: 'must be namespace, cluster or no, got true',
  },
  {
    title: 'mode against type',
    parts: { ...withMisc({ 'global-sidecar-mode': 'cluster' }) },
    paths: [`${GS}.type`],
    says: 'contradicts spec.module[0].global.misc.global-sidecar-mode: "cluster"',
  },
  { title: 'mode no against type', parts: withMisc({ 'global-sidecar-mode': false }), paths: [`${GS}.type`] },
  {
    title: 'mode against a disabled global-sidecar',
    parts: { ...withMisc({ 'global-sidecar-mode': 'cluster' }), ...withSidecar({ enable: false }) },
    paths: [`${GS}.enable`],
  },
  {
    title: 'modules that contradict each other',
    parts: {
      component: CLUSTER,
      module: [
        lazyload({ global: { misc: { 'global-sidecar-mode': 'cluster' } } }),
        lazyload({ name: 'b', global: { misc: { 'global-sidecar-mode': 'no' } } }),
      ],
    },
    paths: ['module[1].global.misc.global-sidecar-mode'],
  },
  {
    title: 'namespaced without namespaces',
    parts: withSidecar({ type: 'namespaced' }),
    paths: [`${GS}.namespace`],
    says: 'is required for type namespaced',
  },
  { title: 'namespaced with an empty list', parts: withSidecar({ type: 'namespaced', namespace: [] }), paths: [`${GS}.namespace`] },
  {
    title: 'a namespace twice',
    parts: withSidecar({ type: 'namespaced', namespace: ['a', 'b', 'a'] }),
    paths: [`${GS}.namespace[2]`],
    says: `as spec.${GS}.namespace[0] is`,
  },
  {
    title: 'namespaces that are no labels',
    parts: withSidecar({ type: 'namespaced', namespace: ['A', 'a.b', '', '-a', 'a'.repeat(64)] }),
    paths: [0, 1, 2, 3, 4].map((at) => `${GS}.namespace[${at}]`),
  },
  { title: 'spec.namespace that is no label', parts: { namespace: 'Mesh' }, paths: ['namespace'], says: 'must be a DNS label' },
  {
    title: 'the root namespace in the list',
    parts: withSidecar({ type: 'namespaced', namespace: ['istio-system'] }),
    facts: { rootNamespace: 'istio-system' },
    paths: [`${GS}.namespace[0]`],
    says: 'root namespace',
  },
  {
    title: 'cluster with an istioNamespace that is not the root',
    parts: { component: CLUSTER, istioNamespace: 'istio' },
    facts: { rootNamespace: 'istio-system' },
    paths: ['istioNamespace'],
    says: 'must be "istio-system"',
  },
  {
    title: 'ports out of range and not numbers',
    parts: withPorts('http', 0, 65536, '', '09080', '--1', '9080 ', -65536, '-0'),
    paths: [0, 1, 2, 3, 4, 5, 6, 7, 8].map((at) => `${PORT}[${at}]`),
    says: `spec.${PORT}[0] must be a port from 1 to 65535, got "http"`,
  },
  {
    title: 'ports of other types',
    parts: withPorts(true, 1.5, null, [], {}),
    paths: [0, 1, 2, 3, 4].map((at) => `${PORT}[${at}]`),
    says: 'must be a port from 1 to 65535, got true. Write the number',
  },
  {
    title: 'a port that is no list',
    parts: withFence({ wormholePort: '9080' }),
    paths: [PORT],
    says: 'must be auto or a list of ports, got "9080". Write each entry on a line of its own',
  },
  {
    title: 'ports of the proxy in the stock shape',
    parts: withPorts(14999, '15000', 15099, 15100),
    paths: [`${PORT}[1]`, `${PORT}[2]`],
    says: 'must not be from 15000 to 15099',
  },
  {
    title: 'a dispatch without anything',
    parts: withDispatches({}),
    paths: [`${DISPATCH}[0].name`, `${DISPATCH}[0].domains`, `${DISPATCH}[0].cluster`],
  },
  {
    title: 'a dispatch with empty parts',
    parts: withDispatches({ name: '', domains: [], cluster: '' }),
    paths: [`${DISPATCH}[0].name`, `${DISPATCH}[0].domains`, `${DISPATCH}[0].cluster`],
  },
  {
    title: 'a dispatch name that YAML made a boolean',
    parts: withDispatches({ ...dispatch('a'), name: false }),
    paths: [`${DISPATCH}[0].name`],
    says: 'Write it in quotes: "false"',
  },
  {
    title: 'a domain that is a number',
    parts: withDispatches({ ...dispatch(), domains: [163] }),
    paths: [`${DISPATCH}[0].domains[0]`],
    says: 'must be text, got 163. Write it in quotes',
  },
  {
    title: 'domains that Envoy does not know',
    parts: withDispatches(dispatch('', 'a.*.b', '*a*', '**', 'a b')),
    paths: [0, 1, 2, 3, 4].map((at) => `${DISPATCH}[0].domains[${at}]`),
  },
  {
    title: 'a domain twice, whatever the case',
    parts: withDispatches(dispatch('www.A.com', '*'), dispatch('WWW.a.com')),
    paths: [`${DISPATCH}[1].domains[0]`],
    says: `which spec.${DISPATCH}[0].domains[0] has for port 80 too`,
  },
  {
    title: '* twice for a port of two modules',
    parts: { module: ['a', 'b'].map((name) => lazyload({ name, fence: { wormholePort: [80], dispatches: [dispatch('*')] } })) },
    paths: ['module[1].fence.dispatches[0].domains[0]'],
  },
  {
    title: 'a cluster template that reads a missing key',
    parts: withDispatches({ ...dispatch('a'), cluster: '{{ .Values.foo }}' }),
    paths: [`${DISPATCH}[0].cluster`],
    says: 'cannot be run: .Values.foo is not set',
  },
  {
    title: 'a cluster template that uses if',
    parts: withDispatches({ ...dispatch('a'), cluster: '{{ if true }}a{{ end }}' }),
    paths: [`${DISPATCH}[0].cluster`],
    says: '"if" is not supported',
  },
  {
    title: 'a cluster template that gives nothing',
    parts: { ...withDispatches({ ...dispatch('a'), cluster: '{{ .Values.foo }}' }), foo: '' },
    paths: [`${DISPATCH}[0].cluster`],
  },
  { title: 'a cluster with a line break', parts: withDispatches({ ...dispatch('a'), cluster: 'a\nb' }), paths: [`${DISPATCH}[0].cluster`] },
  { title: 'no image', parts: { image: null }, paths: ['image.repository'] },
  { title: 'image without repository', parts: { image: { tag: 'x' } }, paths: ['image.repository'], says: 'is required, got nothing' },
  {
    title: 'image with a numeric tag',
    parts: { image: { repository: 'r', tag: 1.1 } },
    paths: ['image.tag'],
    says: 'must be text, got 1.1. Write it in quotes: "1.1"',
  },
  { title: 'image with a bad tag', parts: { image: { repository: 'r', tag: 'a b' } }, paths: ['image.tag'] },
  {
    title: 'unknown pull policy',
    parts: { image: { repository: 'r', pullPolicy: 'Sometimes' } },
    paths: ['image.pullPolicy'],
    says: 'must be Always, IfNotPresent or Never',
  },
  {
    title: 'pilot without images',
    parts: { component: { globalSidecar: { type: 'cluster' }, pilot: { enable: true } } },
    paths: [`${GS}.image.repository`, 'component.pilot.image.repository'],
  },
  {
    title: 'a repository that carries a tag',
    parts: { image: { repository: 'registry:5000/r:v1', tag: 'v2' } },
    paths: ['image.repository'],
    says: 'must not carry a tag',
  },
  {
    title: 'a global-sidecar without replicas',
    parts: withSidecar({ type: 'cluster', replicas: 0 }),
    paths: [`${GS}.replicas`],
    says: 'must be 1 or more, got 0',
  },
  {
    title: 'one port twice in the controller',
    parts: { service: { port: 8082 }, healthProbePort: 8082 },
    paths: ['service.logSourcePort', 'logSourcePort'],
    says: 'is 8082',
  },
  {
    title: 'stock image without repository',
    parts: withSidecar({ type: 'cluster', image: { tag: 'x' } }),
    paths: [`${GS}.image.repository`],
  },
  {
    title: 'pilot in the namespace of Istio',
    parts: { component: PILOT, namespace: 'istio-system' },
    paths: ['namespace'],
    says: "would overwrite Istio's",
  },
  { title: 'no module', parts: { module: null }, paths: ['module'], says: 'is required' },
  { title: 'module that is no list', parts: { module: {} }, paths: ['module'], says: 'must be a list' },
  {
    title: 'module names',
    parts: { module: ['A', 'a.b', '1a', '', 'a'.repeat(64)].map((name) => lazyload({ name })) },
    paths: [0, 1, 2, 3, 4].map((at) => `module[${at}].name`),
  },
  { title: 'module without name', parts: { module: [{ enable: true }] }, paths: ['module[0].name'], says: 'got nothing' },
  {
    title: 'two enabled modules of one name',
    parts: { module: [lazyload(), lazyload()] },
    paths: ['module[1].name'],
    says: 'the name of the enabled module at spec.module[0].name too',
  },
  { title: 'a module named as a component', parts: { module: [lazyload({ name: 'global-sidecar' })] }, paths: ['module[0].name'] },
  { title: 'a module named as the operator', parts: { module: [lazyload({ name: 'slime-boot' })] }, paths: ['module[0].name'] },
  {
    title: 'another kind without a ClusterRole',
    parts: { module: [{ name: 'limiter', enable: true, kind: 'limiter' }] },
    paths: ['module[0].clusterRole'],
    says: 'config.netease.com/bindable',
  },
  { title: 'cluster-admin', parts: { module: [lazyload({ clusterRole: 'cluster-admin' })] }, paths: ['module[0].clusterRole'] },
  { title: 'a ClusterRole that is a path', parts: { module: [lazyload({ clusterRole: 'a/b' })] }, paths: ['module[0].clusterRole'] },
  { title: 'BundleItem without a bundle', parts: { module: [lazyload({ mode: 'BundleItem' })] }, paths: ['module[0].mode'] },
  {
    title: 'a mount without its volume',
    parts: mounts({ name: 'dat', mountPath: '/a' }),
    paths: ['containers.slime.volumeMounts[0].name'],
    says: 'must be the name of an entry of spec.volumes, got "dat"',
  },
  { title: 'a mount without a path', parts: mounts({ name: 'data' }), paths: ['containers.slime.volumeMounts[0].mountPath'] },
  {
    title: 'two mounts on one path',
    parts: mounts({ name: 'data', mountPath: '/a' }, { name: 'data', mountPath: '/a' }),
    paths: ['containers.slime.volumeMounts[1].mountPath'],
  },
  {
    title: 'a mount over the configuration',
    parts: mounts({ name: 'data', mountPath: '/etc/slime/config' }),
    paths: ['containers.slime.volumeMounts[0].mountPath'],
  },
  {
    title: 'volumes',
    parts: { volumes: [{}, { name: 'a' }, { name: 'a' }, { name: 'config-volume' }] },
    paths: ['volumes[0].name', 'volumes[2].name', 'volumes[3].name'],
  },
  { title: 'unknown metric source', parts: withMisc({ metric_source_type: 'log' }), paths: ['module[0].global.misc.metric_source_type'] },
  { title: 'a misc value that is a map', parts: withMisc({ other: {} }), paths: ['module[0].global.misc.other'] },
  {
    title: 'wrong types',
    parts: { replicaCount: '3', volumes: 'x', service: { port: 70000 }, istioNamespace: 1, nodeSelector: { a: 1 } },
    paths: ['istioNamespace', 'replicaCount', 'nodeSelector.a', 'service.port', 'volumes'],
  },
  {
    title: 'quoted booleans',
    parts: { module: [lazyload({ enable: 'true' })] },
    paths: ['module[0].enable'],
    says: 'must be true or false, got "true". Write true without quotes',
  },
]

for (const { title, parts, facts, paths, says } of ERRORS) {
  test(`error: ${title}`, () => {
    const { errors } = validate(bootWith(validSpec(parts)), facts)
    assert.deepEqual(
      errors.map((error) => error.path),
      paths.map((path) => `spec.${path}`),
    )
    for (const { path, message } of errors) assert.ok(message.startsWith(`${path} `), message)
    if (says !== undefined) assert.ok(errors[0]?.message.includes(says), errors[0]?.message)
  })
}

test('a module of another kind without a role carries the condition reason NoRole', () => {
  const { errors } = validate(bootWith(validSpec({ module: [{ name: 'limiter', enable: true, limiter: {} }] })))
  assert.equal(new InvalidSpecError(errors).reason, 'NoRole')
  assert.equal(new InvalidSpecError(validate(bootWith({})).errors).reason, 'InvalidSpec')
})

for (const [title, spec] of [
  ['missing', undefined],
  ['null', null],
  ['a list', []],
  ['text', 'x'],
  ['too deep', nested(100)],
] as const) {
  test(`error: spec is ${title}`, () =>
    assert.deepEqual(
      validate(bootWith(spec)).errors.map((error) => error.path),
      ['spec'],
    ))
}

test('all errors come at once', () => {
  const { errors } = validate(
    bootWith({ module: [{ enable: true, fence: { wormholePort: ['x'] } }], replicaCount: -1, component: { globalSidecar: { type: 'x' } } }),
  )
  assert.deepEqual(
    errors.map((error) => error.path),
    [
      'spec.replicaCount',
      'spec.image.repository',
      'spec.module[0].name',
      'spec.component.globalSidecar.type',
      'spec.module[0].fence.wormholePort[0]',
    ],
  )
})

const VALID: readonly (readonly [title: string, parts: JsonObject])[] = [
  ['ports of the proxy with the pilot', { ...withPorts(15001), component: PILOT }],
  ['equal names of dispatches', withDispatches(dispatch('a'), dispatch('b'), dispatch('*'))],
  [
    'one domain on different ports',
    { module: ['80', '81'].map((port) => lazyload({ name: `m${port}`, fence: { wormholePort: [port], dispatches: [dispatch('*')] } })) },
  ],
  ['disabled modules of one name', { module: [lazyload(), lazyload({ enable: false })] }],
  ['a bad port in a disabled module', { module: [lazyload(), lazyload({ name: 'b', enable: false, fence: { wormholePort: ['x'] } })] }],
  [
    'a mount of a volume, and of the configuration elsewhere',
    mounts({ name: 'data', mountPath: '/a' }, { name: 'config-volume', mountPath: '/b' }),
  ],
  ['empty sections', { component: null, volumes: null, containers: { slime: null }, resources: null, nodeSelector: null }],
  ['pilot disabled in the namespace of Istio', { namespace: 'istio-system', component: { ...CLUSTER, pilot: { enable: false } } }],
  ['domains of every form', withDispatches(dispatch('a.com', '*.a.com', '*-a.com', 'a.*', 'a-*', '*', 'a.com:8080', '[::1]', 'é.com'))],
]

for (const [title, parts] of VALID) {
  test(`valid: ${title}`, () => assert.deepEqual(validate(bootWith(validSpec(parts))).errors, []))
}

interface WarningCase extends Omit<Case, 'paths'> {
  readonly warnings: readonly (readonly [reason: string, path: string])[]
}

const QUIET = lazyload({ fence: { wormholePort: ['80'], dispatches: [dispatch('*')] } })

const WARNINGS: readonly WarningCase[] = [
  {
    title: 'clusters of dispatches that no mesh has',
    parts: withDispatches(
      { name: 'a', domains: ['a.com'], cluster: '_global_sidecar' },
      { name: 'b', domains: ['b.com'], cluster: 'PassThroughCluster' },
      { name: 'c', domains: ['c.com'], cluster: 'http://egress.shop:8080' },
      { name: 'd', domains: ['d.com'], cluster: 'outbound|80||egress.shop.svc.cluster.local' },
      { name: 'e', domains: ['*'], cluster: '_GLOBAL_SIDECAR' },
    ),
    warnings: [
      ['UnlikelyCluster', `${DISPATCH}[0].cluster`],
      ['UnlikelyCluster', `${DISPATCH}[1].cluster`],
      ['UnlikelyCluster', `${DISPATCH}[2].cluster`],
    ],
    says: 'is "_global_sidecar", which no mesh has: calls there end with 503. Write _GLOBAL_SIDECAR.',
  },
  { title: 'nothing', parts: { module: [QUIET] }, warnings: [] },
  {
    title: 'unknown keys at every level',
    parts: { module: [{ ...QUIET, fense: {} }], imge: {}, component: { globalSidecar: { type: 'cluster', replica: 1 }, pylot: {} } },
    warnings: [
      ['UnknownKey', 'module[0].fense'],
      ['UnknownKey', 'component.globalSidecar.replica'],
      ['UnknownKey', 'component.pylot'],
      ['UnknownKey', 'imge'],
    ],
    says: 'Did you mean "fence"?',
  },
  {
    title: 'a key unlike any other',
    parts: { module: [QUIET], somethingElse: 1 },
    warnings: [['UnknownKey', 'somethingElse']],
    says: 'spec.somethingElse is not a known key.',
  },
  {
    title: 'no key that a dispatch template reads',
    parts: {
      module: [lazyload({ fence: { wormholePort: ['80'], dispatches: [{ ...dispatch('*'), cluster: '{{ .Values.foo.x }}' }] } })],
      foo: { x: 'a' },
    },
    warnings: [],
  },
  {
    title: 'no key in free-form parts',
    parts: {
      module: [QUIET, { name: 'b', enable: true, kind: 'limiter', clusterRole: 'theirs', general: { any: { thing: 1 } } }],
      affinity: { x: 1 },
      volumes: [{ name: 'a', any: 1 }],
    },
    warnings: [],
  },
  {
    title: 'a setting under general that lazyload does not have',
    parts: { module: [{ ...QUIET, general: { maxidle: '10m', any: 1 } }] },
    warnings: [
      ['UnknownKey', 'module[0].general.maxidle'],
      ['UnknownKey', 'module[0].general.any'],
    ],
    says: 'maxIdle',
  },
  {
    title: 'a port twice in a module',
    parts: { module: [lazyload({ fence: { wormholePort: ['80', 80], dispatches: [dispatch('*')] } })] },
    warnings: [['DuplicatePort', `${PORT}[1]`]],
  },
  {
    title: 'a port in two modules',
    parts: { module: [QUIET, lazyload({ name: 'b', fence: { wormholePort: [80] } })] },
    warnings: [
      ['FencesShared', 'module[1]'],
      ['DuplicatePort', 'module[1].fence.wormholePort[0]'],
    ],
  },
  {
    title: 'access logs without a global-sidecar',
    parts: { ...withMisc({ metric_source_type: 'accesslog' }), component: null },
    warnings: [['AccessLogUnused', 'module[0].global.misc.metric_source_type']],
  },
  {
    title: 'access logs without ports',
    parts: { module: [lazyload({ fence: {}, global: { misc: { metric_source_type: 'accesslog' } } })] },
    warnings: [
      ['NoPorts', PORT],
      ['AccessLogUnused', 'module[0].global.misc.metric_source_type'],
    ],
  },
  {
    title: 'a log port that the module alone says',
    parts: { module: [{ ...QUIET, global: { misc: { metric_source_type: 'accesslog', log_source_port: ':9082' } } }] },
    warnings: [],
  },
  {
    title: 'the same log port twice',
    parts: { module: [{ ...QUIET, global: { misc: { metric_source_type: 'accesslog', log_source_port: ':9082' } } }], logSourcePort: 9082 },
    warnings: [],
  },
  {
    title: 'Prometheus without an address',
    parts: { module: [{ ...QUIET, metric: null }] },
    warnings: [['NoMetricSource', 'module[0].metric.prometheus']],
  },
  { title: 'no dispatches', parts: {}, warnings: [] },
  {
    title: 'no dispatches, unknown hosts refused',
    parts: withSidecar({ type: 'cluster', unknownHosts: 'refuse' }),
    warnings: [['UnknownHostsStay', DISPATCH]],
    says: 'port 9080',
  },
  {
    title: 'no dispatches with the pilot, which knows no way out',
    parts: { component: PILOT },
    facts: { kubernetesVersion: { major: 1, minor: 21 } },
    warnings: [['UnknownHostsStay', DISPATCH]],
  },
  { title: 'dispatches without *', parts: withDispatches(dispatch('a')), warnings: [['NoCatchAll', DISPATCH]] },
  { title: 'no unknown hosts without a global-sidecar', parts: { component: null }, warnings: [] },
  {
    title: 'pilot on a current cluster',
    parts: { module: [QUIET], component: PILOT },
    facts: { kubernetesVersion: { major: 1, minor: 22 } },
    warnings: [['PilotTooOld', 'component.pilot']],
  },
  {
    title: 'no pilot warning on an old cluster',
    parts: { module: [QUIET], component: PILOT },
    facts: { kubernetesVersion: { major: 1, minor: 21 } },
    warnings: [],
  },
  {
    title: 'pilot without a global-sidecar',
    parts: { module: [QUIET], component: { pilot: { enable: true } } },
    warnings: [['PilotUnused', 'component.pilot']],
  },
  {
    title: 'namespaces for type cluster',
    parts: { module: [QUIET], ...withSidecar({ type: 'cluster', namespace: ['a'] }) },
    warnings: [['NamespacesUnused', `${GS}.namespace`]],
  },
  { title: 'no enabled module', parts: { module: [lazyload({ enable: false })] }, warnings: [['NothingEnabled', 'module']] },
]

for (const { title, parts, facts, warnings, says } of WARNINGS) {
  test(`warning: ${title}`, () => {
    const verdict = validate(bootWith(validSpec(parts)), facts)
    assert.deepEqual(verdict.errors, [])
    assert.deepEqual(
      verdict.warnings.map(({ reason, path }) => [reason, path]),
      warnings.map(([reason, path]) => [reason, `spec.${path}`]),
    )
    if (says !== undefined) assert.ok(verdict.warnings[0]?.message.includes(says), verdict.warnings[0]?.message)
  })
}

test("the operator's defaults count", () => {
  const spec = { ...validSpec(), image: { tag: 'x' } }
  assert.deepEqual(validate(bootWith(spec), {}, { operatorDefaults: { image: { repository: 'mirror/lazyload' } } }).errors, [])
})

function nested(depth: number): Json {
  return depth === 0 ? 'x' : { image: nested(depth - 1) }
}
