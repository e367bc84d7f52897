/**
 * Every setting of a lazyload module. The operator and the program in the pod read a module with this table and with nothing else, so
 * neither has a second opinion. The tables in docs/spec.md and docs/lazyload.md are made from it.
 */
import { readAliases } from './aliases.ts'
import { readLabelSelector } from './label-selector.ts'
import { isHostName, namespaceOfAll } from './names.ts'
import {
  choiceOf,
  parseAddress,
  parseAddressOrOff,
  parseCount,
  parseDuration,
  parseFlag,
  parseLabelKey,
  parseList,
  parseNamespace,
  parsePause,
  parseServer,
  parseText,
} from './parse.ts'
import { NO_PORTS, parsePorts, type PortChoice } from './ports.ts'
import { type ModuleProblem, shown } from './problem.ts'
import { type Handler, readHandlers } from './prometheus.ts'
import { readerOf } from './reader.ts'
import { readServedElsewhere, type ServedElsewhere } from './served-elsewhere.ts'
import { type SaidOf, type Setting, setting, type Settings, type ValuesOf } from './setting.ts'
import type { Address } from '../runtime/health-server.ts'

/** In the words of the program. */
export type GlobalSidecarMode = 'namespace' | 'cluster' | 'no'
export type MetricSource = 'prometheus' | 'accesslog'
/** Which hosts Sidecars keep: everything that no catch-all can serve, what of it is in the namespace of the fence, nothing. */
export type KeepScope = 'all' | 'namespace' | 'none'

/** Every spelling of the mode, lower case. YAML 1.1 makes `false` of a bare `no` and `off`. */
export const MODES: ReadonlyMap<string, GlobalSidecarMode> = new Map([
  ['namespace', 'namespace'],
  ['namespaced', 'namespace'],
  ['cluster', 'cluster'],
  ['no', 'no'],
  ['none', 'no'],
  ['off', 'no'],
  ['false', 'no'],
])
const SOURCES: ReadonlyMap<string, MetricSource> = new Map([
  ['prometheus', 'prometheus'],
  ['accesslog', 'accesslog'],
])
const KEEP: ReadonlyMap<string, KeepScope> = new Map([
  ['all', 'all'],
  ['namespace', 'namespace'],
  ['none', 'none'],
  // of a bare `no`
  ['false', 'none'],
])
/** The names of the upstream logger, and winston's. */
const LEVELS: ReadonlyMap<string, string> = new Map([
  ...['trace', 'debug'].map((word) => [word, 'debug'] as const),
  ['info', 'info'],
  ...['warn', 'warning'].map((word) => [word, 'warn'] as const),
  ...['error', 'fatal', 'panic'].map((word) => [word, 'error'] as const),
])
/** A Service that is replaced, or a label that a tool sets anew, is away for a moment. */
const AUTO_FENCE_GRACE_MS = 10_000
/** For so long after a Prometheus that failed or had lost data absence does not count: scraping finds its targets one by one. */
const RECOVERY_MS = 300_000

/** 0 and "" count as absent (upstream cannot tell them from it). */
function countOr(fallback: number): Pick<Setting<number>, 'fallback' | 'standard' | 'parse'> {
  return { fallback, standard: String(fallback), parse: (value) => (Number(value) === 0 ? fallback : parseCount(value)) }
}

function flagOr<Fallback extends boolean | undefined>(
  fallback: Fallback,
): Pick<Setting<boolean | Fallback>, 'fallback' | 'standard' | 'parse'> {
  return { fallback, standard: String(fallback), parse: parseFlag }
}

const empty: readonly string[] = []

export const SETTINGS = {
  kind: setting({
    places: ['kind'],
    fallback: 'lazyload',
    standard: 'lazyload',
    parse: parseText,
    readBy: 'both',
    means: 'Kind of module. This program runs lazyload only.',
  }),
  name: setting({
    places: ['name'],
    fallback: 'lazyload',
    standard: 'lazyload',
    parse: parseText,
    readBy: 'both',
    means: 'Name of the module: of its objects, and of the Lease of its leader.',
  }),
  mode: setting<GlobalSidecarMode>({
    places: ['global.misc.global-sidecar-mode', 'global.misc.globalSidecarMode', 'general.globalSidecarMode', 'globalSidecarMode'],
    fallback: 'namespace',
    standard: 'as `component.globalSidecar.type` says',
    parse: choiceOf(MODES, 'namespace, cluster or no'),
    readBy: 'both',
    means: 'Where global-sidecars run: `namespace`, `cluster` or `no`.',
  }),
  ports: setting<PortChoice>({
    places: ['fence.wormholePort', 'general.wormholePort'],
    fallback: NO_PORTS,
    standard: 'none',
    parse: parsePorts,
    readBy: 'both',
    means:
      'Service ports of the applications, as text or numbers: first calls on these ports go through the global-sidecar. `auto`, alone or in the list, is every port on which Services of the mesh speak HTTP and none speaks TCP or TLS; `"-8443"` leaves one out.',
  }),
  autoPort: setting({
    places: ['general.autoPort'],
    ...flagOr<boolean>(false),
    readBy: 'operator',
    means: 'True is the same as `auto` in `wormholePort`.',
  }),
  portGraceMs: setting({
    places: ['general.portGrace'],
    fallback: 3_600_000,
    standard: '`1h`',
    parse: parseDuration,
    readBy: 'operator',
    means: 'How long a port that `auto` found is still served after the last Service with it is gone.',
  }),
  cleanupPorts: setting({
    places: ['general.cleanupWormholePort'],
    ...flagOr<boolean>(true),
    readBy: 'operator',
    means: 'False serves a port that `auto` found for ever.',
  }),
  namespaces: setting<readonly unknown[]>({
    places: ['general.namespace'],
    fallback: [],
    standard: '`component.globalSidecar.namespace`',
    parse: parseAnyList,
    readBy: 'operator',
    means: 'Mode namespace: namespaces of the applications, each of which gets a global-sidecar.',
  }),
  servedNamespaces: setting<readonly string[]>({
    places: ['general.namespaces'],
    fallback: empty,
    standard: 'all that the SlimeBoot lists',
    parse: (value) => parseList(value).map(parseNamespace),
    readBy: 'both',
    means: 'Serve fences of these namespaces only; with `type: namespaced` they are among those of `component.globalSidecar.namespace`.',
  }),
  servedElsewhere: setting<readonly ServedElsewhere[]>({
    places: ['general.servedElsewhere'],
    fallback: [],
    standard: 'written by the operator',
    parse: (value, place, problems) => mapsOf(value, place, problems).map(readServedElsewhere),
    readBy: 'lazyload',
    means: 'Fences that this module leaves to others: `by` whom, and of which `namespaces` and `revisions`.',
  }),
  dispatches: setting<readonly unknown[]>({
    places: ['fence.dispatches', 'general.dispatches'],
    fallback: [],
    standard: 'none',
    parse: parseAnyList,
    readBy: 'operator',
    means: 'Where requests for unknown hosts go, by host.',
  }),
  passthroughByDefault: setting({
    places: ['general.passthroughByDefault'],
    ...flagOr<boolean>(false),
    readBy: 'operator',
    means:
      'Requests for hosts that neither the proxy nor a dispatch knows go to `PassthroughCluster` instead of the global-sidecar: nothing is learned from them.',
  }),
  source: setting<MetricSource>({
    places: ['global.misc.metric_source_type', 'global.misc.metricSourceType', 'general.metricSourceType'],
    fallback: 'prometheus',
    standard: '`prometheus`',
    parse: choiceOf(SOURCES, 'prometheus or accesslog'),
    readBy: 'both',
    means: 'What calls are learned from: `prometheus` or `accesslog`.',
  }),
  logSourceAddress: setting<Address>({
    places: ['global.misc.log_source_port', 'global.misc.logSourcePort'],
    fallback: { port: 8082 },
    standard: '`:8082`, or `spec.logSourcePort`',
    parse: parseAddress,
    readBy: 'both',
    means: 'Where the program receives access logs.',
  }),
  auxAddress: setting<Address | undefined>({
    places: ['global.misc.aux-addr', 'global.misc.auxAddr'],
    fallback: { port: 8081 },
    standard: '`:8081`, or `spec.healthProbePort`',
    parse: parseAddressOrOff,
    readBy: 'both',
    means: 'Where the program serves probes and the auxiliary API.',
  }),
  metricsAddress: setting<Address | undefined>({
    places: ['global.misc.metrics-addr', 'global.misc.metricsAddr'],
    fallback: { port: 8080 },
    standard: '`:8080`',
    parse: parseAddressOrOff,
    readBy: 'lazyload',
    means: 'Where the program serves metrics; `0` is off.',
  }),
  leaderElection: setting<boolean | undefined>({
    places: ['global.misc.enable-leader-election', 'global.misc.enableLeaderElection'],
    ...flagOr(undefined),
    standard: 'as the command line says',
    readBy: 'lazyload',
    means: '`off` works without asking for the Lease.',
  }),
  serviceLabel: setting({
    places: ['global.service'],
    fallback: 'app',
    standard: '`app`',
    parse: parseLabelKey,
    readBy: 'lazyload',
    means: 'Label by whose value the pods of a Service are known.',
  }),
  istioNamespace: setting({
    places: ['global.istioNamespace'],
    fallback: 'istio-system',
    standard: '`spec.istioNamespace`',
    parse: parseNamespace,
    readBy: 'both',
    means: 'Namespace of Istio, in every Sidecar.',
  }),
  slimeNamespace: setting({
    places: ['global.slimeNamespace'],
    fallback: 'mesh-operator',
    standard: '`spec.namespace`',
    parse: parseNamespace,
    readBy: 'both',
    means: 'Namespace of the module, in every Sidecar.',
  }),
  clusterGsNamespace: setting<string | undefined>({
    places: ['general.clusterGsNamespace'],
    fallback: undefined,
    standard: '`spec.namespace`',
    parse: parseNamespace,
    readBy: 'both',
    means: 'Mode cluster: namespace of the global-sidecar.',
  }),
  revisions: setting<readonly string[]>({
    places: ['global.istioRev'],
    fallback: empty,
    standard: 'all',
    parse: parseList,
    readBy: 'lazyload',
    means: 'Serve only fences of these Istio revisions or tags (a list, or text with commas).',
  }),
  strictRevisions: setting({
    places: ['global.strictRev'],
    ...flagOr<boolean>(false),
    readBy: 'lazyload',
    means: 'Leave out fences without a revision.',
  }),
  logLevel: setting({
    places: ['global.log.logLevel'],
    fallback: 'info',
    standard: '`info`',
    parse: choiceOf(LEVELS),
    readBy: 'lazyload',
    means: 'What is logged.',
  }),
  requestVerbosity: setting({
    places: ['global.log.klogLevel'],
    ...countOr(5),
    readBy: 'lazyload',
    means: '6 tells each request to the API server, 8 also its body.',
  }),
  logRotate: setting({
    places: ['global.log.logRotate'],
    ...flagOr<boolean>(false),
    readBy: 'lazyload',
    means:
      'Log to a file instead of standard output. Where the disk cannot be written, and for a line longer than a whole file, it is standard output.',
  }),
  logFile: setting({
    places: ['global.log.logRotateConfig.filePath'],
    fallback: '/tmp/log/slime.log',
    standard: '`/tmp/log/slime.log`',
    parse: parseText,
    readBy: 'lazyload',
    means: 'The file.',
  }),
  logMaxSizeMB: setting({
    places: ['global.log.logRotateConfig.maxSizeMB'],
    ...countOr(100),
    readBy: 'lazyload',
    means: 'Size at which a new file begins.',
  }),
  logMaxBackups: setting({
    places: ['global.log.logRotateConfig.maxBackups'],
    ...countOr(10),
    readBy: 'lazyload',
    means: 'Earlier files to keep.',
  }),
  logMaxAgeDays: setting({
    places: ['global.log.logRotateConfig.maxAgeDay'],
    ...countOr(10),
    readBy: 'lazyload',
    means: 'Days to keep them.',
  }),
  logCompress: setting({
    places: ['global.log.logRotateConfig.compress'],
    ...flagOr<boolean>(true),
    readBy: 'lazyload',
    means: 'Compress them.',
  }),
  prometheusAddress: setting<URL | undefined>({
    places: ['metric.prometheus.address'],
    fallback: undefined,
    standard: 'required with source `prometheus`',
    parse: parseServer,
    readBy: 'lazyload',
    means: 'URL of Prometheus; user and password may stand in it.',
  }),
  prometheusHandlers: setting<readonly Handler[]>({
    places: ['metric.prometheus.handlers'],
    fallback: [],
    standard: 'required with source `prometheus`',
    parse: (value, place, problems) => readHandlers(readerOf(value, place, problems)),
    readBy: 'lazyload',
    means:
      "Queries by name: `query`, in which `$namespace` is that of the fence and `$source_app` the value of label `global.service` on its pods, else its name; and `aggregate` (default false), which asks it once for all fences, whose samples then say by labels `source_app` and `source_workload_namespace` whose they are. A query that says nothing of namespaces, as the tutorial's, is narrowed by `source_workload_namespace` for names that Services or fences of several namespaces have.",
  }),
  prometheusIntervalMs: setting({
    places: ['general.prometheusInterval'],
    fallback: 30_000,
    standard: '`30s`',
    parse: parsePause,
    readBy: 'lazyload',
    means: 'Time between two rounds of queries, a day at most.',
  }),
  prometheusAbsenceMs: setting({
    places: ['general.prometheusAbsence'],
    fallback: 0,
    standard: 'an interval',
    parse: parseDuration,
    readBy: 'lazyload',
    means: 'How long answers must lack a host before it is forgotten.',
  }),
  prometheusRecoveryMs: setting({
    places: ['general.prometheusRecovery'],
    fallback: RECOVERY_MS,
    standard: '`5m`',
    parse: parseDuration,
    readBy: 'lazyload',
    means: 'How long nothing is forgotten after Prometheus failed or had lost its data; longer where it scrapes rarely.',
  }),
  prometheusConcurrency: setting({
    places: ['general.prometheusConcurrency'],
    ...countOr(8),
    readBy: 'lazyload',
    means: 'Queries at once.',
  }),
  prometheusTimeoutMs: setting({
    places: ['general.prometheusTimeout'],
    fallback: 10_000,
    standard: '`10s`',
    parse: parsePause,
    readBy: 'lazyload',
    means: 'How long an answer may take.',
  }),
  maxIdleMs: setting<number | undefined>({
    places: ['general.maxIdle'],
    fallback: undefined,
    standard: 'never',
    parse: parseDuration,
    readBy: 'lazyload',
    means: 'A host that was learned from the access log is forgotten after this time.',
  }),
  checkLogSource: setting({
    places: ['general.checkLogSource'],
    ...flagOr<boolean>(true),
    readBy: 'lazyload',
    means: 'Accept access logs only from the addresses of global-sidecars; false where the network hides addresses.',
  }),
  autoFence: setting({
    places: ['general.autoFence'],
    ...flagOr<boolean>(true),
    readBy: 'lazyload',
    means: 'Make fences for Services and Namespaces with label `slime.io/serviceFenced`.',
  }),
  defaultFence: setting({
    places: ['general.defaultFence'],
    ...flagOr<boolean>(false),
    readBy: 'lazyload',
    means: 'Make fences for Services about which no label says anything.',
  }),
  autoFenceGraceMs: setting({
    places: ['general.autoFenceGrace'],
    fallback: AUTO_FENCE_GRACE_MS,
    standard: '`10s`',
    parse: parseDuration,
    readBy: 'lazyload',
    means: 'How long nothing must ask for a fence by label before it is removed.',
  }),
  includedNamespaces: setting<readonly string[]>({
    places: ['general.whiteNamespaceList'],
    fallback: empty,
    standard: 'all',
    parse: parseList,
    readBy: 'lazyload',
    means: 'Fences by label only in these namespaces.',
  }),
  excludedNamespaces: setting<readonly string[]>({
    places: ['general.blackNamespaceList'],
    fallback: empty,
    standard: 'none',
    parse: parseList,
    readBy: 'lazyload',
    means: 'No fences by label in these namespaces.',
  }),
  managementSelectors: setting({
    places: ['general.managementSelectors'],
    fallback: [],
    standard: 'all',
    parse: (value, place, problems) => mapsOf(value, place, problems).map(readLabelSelector),
    readBy: 'lazyload',
    means: 'Label selectors; fences by label only in namespaces that one of them selects.',
  }),
  keep: setting<KeepScope>({
    places: ['general.keep'],
    fallback: 'all',
    standard: 'all',
    parse: choiceOf(KEEP, 'all, namespace or none'),
    readBy: 'lazyload',
    means:
      'Which hosts stay in Sidecars though nobody has called them, because the catch-all cannot serve them: `all`, only those of the namespace of the fence (`namespace`), or `none`. `spec.keep` of a fence says it for that fence.',
  }),
  stableHosts: setting<readonly string[]>({
    places: ['general.stableHost'],
    fallback: empty,
    standard: 'none',
    parse: parseStableHosts,
    readBy: 'lazyload',
    means: 'Hosts, or `<namespace>/*`, in every Sidecar.',
  }),
  aliases: setting({
    places: ['general.domainAliases'],
    fallback: [],
    standard: 'none',
    parse: (value, place, problems) => readAliases(mapsOf(value, place, problems)),
    readBy: 'lazyload',
    means: '`{pattern, templates}`: further domains for those that match.',
  }),
} as const satisfies Settings

export type SettingValues = ValuesOf<typeof SETTINGS>
export type SaidSettings = SaidOf<typeof SETTINGS>

function mapsOf(value: unknown, place: string, problems: ModuleProblem[]): ReturnType<typeof readerOf>[] {
  return parseAnyList(value).map((item, index) => readerOf(item, `${place}[${index}]`, problems))
}

function parseAnyList(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new Error('must be a list')
  return value
}

/** One that is no host would spoil every Sidecar. */
function parseStableHosts(value: unknown, place: string, problems: ModuleProblem[]): readonly string[] {
  const hosts = parseList(value)
  hosts.forEach((host, index) => {
    if (!isHostName(host) && namespaceOfAll(host) === undefined)
      problems.push({ place: `${place}[${index}]`, text: `must be a host or <namespace>/*, got ${shown(host)}` })
  })
  return hosts
}
