/** A lazyload module as it is meant: all settings read, what belongs together put together, and everything that is wrong with it. Pure. */
import type { Address } from '../runtime/health-server.ts'
import type { AliasRule } from './aliases.ts'
import type { LabelSelector } from './label-selector.ts'
import { type ModuleProblem, shown } from './problem.ts'
import type { Handler } from './prometheus.ts'
import { type GlobalSidecarMode, type KeepScope, type MetricSource, type SaidSettings, SETTINGS, type SettingValues } from './settings.ts'
import { readSettings } from './setting.ts'
import type { ServedElsewhere } from './served-elsewhere.ts'

export interface ModuleConfig {
  /** Name of the module. */
  readonly name: string
  /** Label by whose value the pods of a Service are known, unless the fence says otherwise. */
  readonly serviceLabel: string
  readonly istioNamespace: string
  readonly slimeNamespace: string
  readonly mode: GlobalSidecarMode
  /** In cluster mode: where the global-sidecar runs, when it is not `slimeNamespace`. */
  readonly clusterGsNamespace: string | undefined
  /** Fences are served in these namespaces, unless the command line says which; empty: all. */
  readonly namespaces: readonly string[]
  /** Fences of these are left to other modules, which came first: the operator says which. */
  readonly servedElsewhere: readonly ServedElsewhere[]
  /** Fences that are served: all when `names` is empty; `strict` leaves out those without a revision. */
  readonly revisions: { readonly names: readonly string[]; readonly strict: boolean }
  readonly source: MetricSource
  /** Undefined where the module names none. */
  readonly prometheus: PrometheusConfig | undefined
  readonly logSource: LogSourceConfig
  readonly auxAddress: Address | undefined
  readonly metricsAddress: Address | undefined
  /** Undefined: the command line decides. */
  readonly leaderElection: boolean | undefined
  readonly log: LogConfig
  readonly autoFence: AutoFenceConfig
  /** On which global-sidecars serve; the ports of the Service `global-sidecar` count where it is there. */
  readonly ports: readonly number[]
  /** Which hosts Sidecars keep without their having been learned, where the fence does not say. */
  readonly keep: KeepScope
  /** In every Sidecar: hosts, or `namespace/*`. */
  readonly stableHosts: readonly string[]
  readonly aliases: readonly AliasRule[]
  /** A host learned from the access log is forgotten after this time; undefined: never. */
  readonly maxIdleMs: number | undefined
  /** Places of settings that mean nothing to this program. */
  readonly unknown: readonly string[]
}

export interface LogSourceConfig {
  readonly address: Address
  /** Accept logs only from the addresses of global-sidecars. */
  readonly checkPeers: boolean
}

export interface LogConfig {
  readonly level: string
  /** Undefined: standard output. */
  readonly rotate: RotationConfig | undefined
  /** klog's verbosity, which says how much is told of requests to the API server. */
  readonly requestVerbosity: number
}

export interface RotationConfig {
  readonly file: string
  readonly maxSizeMB: number
  readonly maxBackups: number
  readonly maxAgeDays: number
  /** Gzip earlier files. */
  readonly compress: boolean
}

/** Which namespaces are fenced by label. */
export interface AutoFenceConfig {
  readonly enabled: boolean
  /** For Services about which neither their label nor their namespace's says anything. */
  readonly defaultFence: boolean
  /** Empty: all namespaces but those of `excluded`. */
  readonly included: readonly string[]
  readonly excluded: readonly string[]
  /** Namespaces that one of them selects by its labels; undefined: all. */
  readonly selectors: readonly LabelSelector[] | undefined
  /** How long nothing must ask for a fence before it is removed, milliseconds. */
  readonly graceMs: number
}

/** Whom to ask, what, and how often. */
export interface PrometheusConfig {
  /** Base address, without user and password. */
  readonly address: URL
  /** Of `http://user:password@…`. */
  readonly authorization: string | undefined
  readonly handlers: readonly Handler[]
  readonly intervalMs: number
  /** A host that successive answers do not have for so long is forgotten. */
  readonly absenceMs: number
  /** How long after a Prometheus that failed or had lost data nothing is forgotten. */
  readonly recoveryMs: number
  /** Queries at once. */
  readonly concurrency: number
  readonly timeoutMs: number
}

export interface ModuleReading {
  readonly config: ModuleConfig
  readonly values: SettingValues
  /** Where the module writes what it writes. */
  readonly said: SaidSettings
  /** Each would end the program at its start. */
  readonly problems: readonly ModuleProblem[]
}

/** Two answers an interval apart; the interval is jittered by a fifth. */
const INTERVAL_SHARE = 0.8

/** Reads an element of `spec.module`, or what the operator made of it; any JSON, never throws. */
export function readModule(module: unknown): ModuleReading {
  const problems: ModuleProblem[] = []
  if (module !== undefined && module !== null && (typeof module !== 'object' || Array.isArray(module)))
    problems.push({ place: '', text: `must be an object, got ${shown(module)}` })
  const { values, said } = readSettings(SETTINGS, module, problems)
  problems.push(...kindProblems(values), ...sourceProblems(values, said), ...listenerProblems(values, said))
  return { config: configOf(values, module), values, said, problems: onePerPlace(problems) }
}

function configOf(values: SettingValues, module: unknown): ModuleConfig {
  const { managementSelectors: selectors } = values
  return {
    name: values.name,
    serviceLabel: values.serviceLabel,
    istioNamespace: values.istioNamespace,
    slimeNamespace: values.slimeNamespace,
    mode: values.mode,
    clusterGsNamespace: values.clusterGsNamespace,
    namespaces: values.servedNamespaces,
    servedElsewhere: values.servedElsewhere,
    revisions: { names: values.revisions, strict: values.strictRevisions },
    source: values.source,
    prometheus: prometheusOf(values),
    logSource: { address: values.logSourceAddress, checkPeers: values.checkLogSource },
    auxAddress: values.auxAddress,
    metricsAddress: values.metricsAddress,
    leaderElection: values.leaderElection,
    log: {
      level: values.logLevel,
      requestVerbosity: values.requestVerbosity,
      rotate: !values.logRotate
        ? undefined
        : {
            file: values.logFile,
            maxSizeMB: values.logMaxSizeMB,
            maxBackups: values.logMaxBackups,
            maxAgeDays: values.logMaxAgeDays,
            compress: values.logCompress,
          },
    },
    autoFence: {
      enabled: values.autoFence,
      defaultFence: values.defaultFence,
      included: values.includedNamespaces,
      excluded: values.excludedNamespaces,
      selectors: selectors.length === 0 ? undefined : selectors,
      graceMs: values.autoFenceGraceMs,
    },
    ports: values.ports.listed,
    keep: values.keep,
    stableHosts: values.stableHosts,
    aliases: values.aliases,
    maxIdleMs: values.maxIdleMs,
    unknown: unknownOf(module),
  }
}

function prometheusOf(values: SettingValues): PrometheusConfig | undefined {
  const url = values.prometheusAddress
  if (url === undefined) return undefined
  const address = new URL(url)
  address.username = ''
  address.password = ''
  const credentials = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`
  return {
    address,
    authorization: credentials === ':' ? undefined : `Basic ${Buffer.from(credentials).toString('base64')}`,
    handlers: values.prometheusHandlers,
    intervalMs: values.prometheusIntervalMs,
    absenceMs: Math.max(INTERVAL_SHARE * values.prometheusIntervalMs, values.prometheusAbsenceMs),
    recoveryMs: values.prometheusRecoveryMs,
    concurrency: values.prometheusConcurrency,
    timeoutMs: values.prometheusTimeoutMs,
  }
}

function kindProblems({ kind }: SettingValues): readonly ModuleProblem[] {
  return kind === 'lazyload' ? [] : [{ place: 'kind', text: `is ${shown(kind)}; this program runs modules of kind lazyload` }]
}

function sourceProblems({ source, prometheusHandlers }: SettingValues, said: SaidSettings): readonly ModuleProblem[] {
  const asked = said.source !== undefined || said.prometheusAddress !== undefined || said.prometheusHandlers !== undefined
  // a module that says nothing of it runs, and learns nothing: the tutorial has such ones
  if (source !== 'prometheus' || !asked) return []
  const instead = 'because metric_source_type is prometheus; or set global.misc.metric_source_type to accesslog'
  const problems: ModuleProblem[] = []
  if (said.prometheusAddress === undefined) problems.push({ place: 'metric.prometheus.address', text: `is required, ${instead}` })
  if (prometheusHandlers.length === 0)
    problems.push({ place: 'metric.prometheus.handlers', text: 'is required: at least one handler with its query' })
  return problems
}

/** What listens must not share a port; `0` in an address lets the system choose one. The probes and the metrics may. */
function listenerProblems(values: SettingValues, said: SaidSettings): readonly ModuleProblem[] {
  const { auxAddress, metricsAddress, logSourceAddress } = values
  const problems: ModuleProblem[] = []
  const meet = (a: Address | undefined, b: Address | undefined): boolean =>
    a !== undefined && b !== undefined && a.port === b.port && a.port !== 0 && (a.host === b.host || !a.host || !b.host)
  const place = (name: 'auxAddress' | 'metricsAddress' | 'logSourceAddress'): string => said[name]?.place ?? SETTINGS[name].places[0]
  if (values.source === 'accesslog')
    for (const [name, address] of [
      ['auxAddress', auxAddress],
      ['metricsAddress', metricsAddress],
    ] as const)
      if (meet(address, logSourceAddress))
        problems.push({
          place: said[name] === undefined ? place('logSourceAddress') : place(name),
          text: `is port ${logSourceAddress.port}, where ${said[name] === undefined ? place(name) : place('logSourceAddress')} listens too; choose another`,
        })
  if (meet(auxAddress, metricsAddress) && auxAddress?.host !== metricsAddress?.host)
    problems.push({
      place: place('metricsAddress'),
      text: `is port ${auxAddress?.port}, where ${place('auxAddress')} listens too; choose another`,
    })
  return problems
}

const GENERAL = 'general'
const KNOWN_GENERAL: ReadonlySet<string> = new Set(
  Object.values(SETTINGS).flatMap(({ places }) => places.filter((place) => place.startsWith(`${GENERAL}.`))),
)

function unknownOf(module: unknown): readonly string[] {
  const general: unknown = (module as { readonly general?: unknown } | null | undefined)?.general
  if (typeof general !== 'object' || general === null || Array.isArray(general)) return []
  return Object.keys(general)
    .map((key) => `${GENERAL}.${key}`)
    .filter((place) => !KNOWN_GENERAL.has(place))
}

function onePerPlace(problems: readonly ModuleProblem[]): readonly ModuleProblem[] {
  return [...new Map(problems.toReversed().map((problem) => [problem.place, problem])).values()].toReversed()
}
