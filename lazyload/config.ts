/**
 * The configuration of the lazyload controller: the module's JSON as the operator mounts it (spec 6). Old and newer key names,
 * booleans and text are understood; what is absent has its default key by key; everything that is wrong is told at once.
 */
import { load } from 'js-yaml'
import { messageOf } from '../runtime/errors.ts'
import type { Address } from '../runtime/health-server.ts'
import { ConfigError } from './config-error.ts'
import { readModuleFile } from './config-file.ts'
import { type ConfigReader, readConfig } from './config-reader.ts'
import { readAliases, type AliasRule } from './fence/aliases.ts'
import type { LogConfig } from './log/logger.ts'
import { isHostName, isNamespace, namespaceOfAll } from './mesh/host-name.ts'
import { type AutoFenceConfig, readAutoFence } from './auto-fence/config.ts'
import { isLabelKey } from './auto-fence/label-selector.ts'
import { type PrometheusConfig, readPrometheus } from './prometheus/config.ts'

export const CONFIG_FILE = '/etc/slime/config/cfg'

export type GlobalSidecarMode = 'namespace' | 'cluster' | 'no'
export type MetricSource = 'prometheus' | 'accesslog'

export interface LazyloadConfig {
  /** Name of the module. */
  readonly name: string
  /** Label by whose value the pods of a Service are known, unless the fence says otherwise. */
  readonly serviceLabel: string
  readonly istioNamespace: string
  readonly slimeNamespace: string
  readonly mode: GlobalSidecarMode
  /** In cluster mode: where the global-sidecar runs, when it is not `slimeNamespace`. */
  readonly clusterGsNamespace: string | undefined
  /** Fences that are served: all when `names` is empty; `strict` leaves out those without a revision. */
  readonly revisions: { readonly names: readonly string[]; readonly strict: boolean }
  readonly source: MetricSource
  readonly prometheus: PrometheusConfig | undefined
  readonly logSource: LogSourceConfig
  readonly auxAddress: Address | undefined
  readonly metricsAddress: Address | undefined
  /** Undefined: the command line decides. */
  readonly leaderElection: boolean | undefined
  readonly log: LogConfig
  readonly autoFence: AutoFenceConfig
  /** In every Sidecar: hosts, or `namespace/*`. */
  readonly stableHosts: readonly string[]
  readonly aliases: readonly AliasRule[]
  /** A host learned from the access log is forgotten after this time; undefined: never. */
  readonly maxIdleMs: number | undefined
  /** Enabled modules of the same bundle that this program does not run. */
  readonly notRun: readonly string[]
  /** Places of settings that mean nothing to this program. */
  readonly unknown: readonly string[]
}

export interface LogSourceConfig {
  readonly address: Address
  /** Accept logs only from the addresses of global-sidecars. */
  readonly checkPeers: boolean
}

const MODES: ReadonlyMap<string, GlobalSidecarMode> = new Map([
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
/** In newer samples `fence` is called so; it says what the operator renders. */
const OF_THE_OPERATOR: ReadonlySet<string> = new Set(['wormholePort', 'dispatches'].map((key) => `general.${key}`))
/** The names of the upstream logger, and winston's. */
const LEVELS: ReadonlyMap<string, string> = new Map([
  ...['trace', 'debug'].map((word) => [word, 'debug'] as const),
  ['info', 'info'],
  ...['warn', 'warning'].map((word) => [word, 'warn'] as const),
  ...['error', 'fatal', 'panic'].map((word) => [word, 'error'] as const),
])

/** Reads the file, and of a bundle the one of its lazyload item; a missing one gives the defaults. Throws ConfigError with every problem. */
export function loadConfig(file: string): LazyloadConfig {
  try {
    const found = readModuleFile(file)
    return readModule(found.module, found.file, found.notRun)
  } catch (error) {
    throw error instanceof ConfigError ? error : new ConfigError(`${file}: ${messageOf(error)}`, { cause: error })
  }
}

/** `text` is JSON or YAML; `file` is for messages. Throws ConfigError with every problem. */
export function parseConfig(text: string, file: string): LazyloadConfig {
  return readModule(load(text, { filename: file }), file)
}

function readModule(data: unknown, file: string, notRun: readonly string[] = []): LazyloadConfig {
  const module = readConfig(data)
  const [global, general] = [module.section('global'), module.section('general')]
  const misc = global.section('misc')
  const source = twice(SOURCES, 'prometheus', [general, 'metricSourceType'], [misc, 'metric_source_type', 'metricSourceType'])
  const config: LazyloadConfig = {
    name: module.text('lazyload', 'name'),
    serviceLabel: global.parsed('app', readLabelKey, 'service'),
    istioNamespace: global.parsed('istio-system', readNamespace, 'istioNamespace'),
    slimeNamespace: global.parsed('mesh-operator', readNamespace, 'slimeNamespace'),
    mode: twice(MODES, 'namespace', [general, 'globalSidecarMode'], [misc, 'global-sidecar-mode', 'globalSidecarMode']),
    clusterGsNamespace: general.parsed<string | undefined>(undefined, readNamespace, 'clusterGsNamespace'),
    revisions: { names: global.list('istioRev'), strict: global.flag(false, 'strictRev') },
    source,
    prometheus: readPrometheus(module.section('metric').section('prometheus'), general, source === 'prometheus'),
    logSource: {
      address: addressOf(misc, { port: 8082 }, 'log_source_port', 'logSourcePort') ?? { port: 8082 },
      checkPeers: general.flag(true, 'checkLogSource'),
    },
    auxAddress: addressOf(misc, { port: 8081 }, 'aux-addr', 'auxAddr'),
    metricsAddress: addressOf(misc, { port: 8080 }, 'metrics-addr', 'metricsAddr'),
    leaderElection: misc.flag(undefined, 'enable-leader-election', 'enableLeaderElection'),
    log: readLog(global.section('log')),
    autoFence: readAutoFence(general),
    stableHosts: readStableHosts(general),
    aliases: readAliases(general),
    maxIdleMs: general.duration(undefined, 'maxIdle'),
    notRun,
    unknown: general.unread().filter((place) => !OF_THE_OPERATOR.has(place)),
  }
  const kind = module.text('lazyload', 'kind')
  if (kind !== 'lazyload') module.problems.push(`kind is "${kind}"; this program runs modules of kind lazyload`)
  const problems = [...new Set(module.problems)]
  if (problems.length > 0) throw new ConfigError(`${file}: ${problems.join('; ')}. Correct spec.module of the SlimeBoot.`)
  return config
}

/** A setting that moved from one section to another; said in both, they must agree. */
function twice<Meaning>(
  choices: ReadonlyMap<string, Meaning>,
  fallback: Meaning,
  ...places: readonly (readonly [ConfigReader, ...string[]])[]
): Meaning {
  const said = places
    .filter(([section, ...keys]) => section.value(...keys) !== undefined)
    .map(([section, ...keys]) => ({ place: section.at(keys[0]!), section, meaning: section.choice(choices, fallback, ...keys) }))
  const [first, second] = said
  if (first !== undefined && second !== undefined && first.meaning !== second.meaning)
    first.section.problems.push(
      `${first.place} is "${String(first.meaning)}" but ${second.place} is "${String(second.meaning)}"; write one of them`,
    )
  return first?.meaning ?? fallback
}

function readLabelKey(value: unknown): string {
  if (typeof value !== 'string' || !isLabelKey(value)) throw new Error('must be the key of a label')
  return value
}

function readNamespace(value: unknown): string {
  if (typeof value !== 'string' || !isNamespace(value)) throw new Error('must be the name of a namespace')
  return value
}

/** One that is no host would spoil every Sidecar. */
function readStableHosts(general: ConfigReader): readonly string[] {
  const hosts = general.list('stableHost')
  hosts.forEach((host, index) => {
    if (!isHostName(host) && namespaceOfAll(host) === undefined)
      general.problems.push(`${general.at('stableHost')}[${index}] must be a host or <namespace>/*, got ${JSON.stringify(host)}`)
  })
  return hosts
}

function readLog(log: ConfigReader): LogConfig {
  const rotation = log.section('logRotateConfig')
  return {
    level: log.choice(LEVELS, 'info', 'logLevel'),
    requestVerbosity: log.count(5, 'klogLevel'),
    rotate: log.flag(false, 'logRotate')
      ? {
          file: rotation.text('/tmp/log/slime.log', 'filePath'),
          maxSizeMB: rotation.count(100, 'maxSizeMB'),
          maxBackups: rotation.count(10, 'maxBackups'),
          maxAgeDays: rotation.count(10, 'maxAgeDay'),
          compress: rotation.flag(true, 'compress'),
        }
      : undefined,
  }
}

/** `:8082`, `host:port`, `[::1]:8082` or a bare port; `0` turns a server off. */
function addressOf(section: ConfigReader, fallback: Address, ...keys: readonly string[]): Address | undefined {
  return section.parsed<Address | undefined>(
    fallback,
    (value) => {
      const match = /^(?:(?:\[([^\]]+)\]|([^:[\]]*)):)?(\d{1,5})$/.exec(String(value))
      const port = Number(match?.[3])
      if (match === null || port > 65_535) throw new Error('must be an address such as :8082')
      const host = match[1] ?? match[2] ?? ''
      return String(value) === '0' ? undefined : { port, ...(host === '' ? {} : { host }) }
    },
    ...keys,
  )
}
