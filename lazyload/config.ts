/**
 * The configuration of the lazyload controller: the module's JSON as the operator mounts it (spec 6). Old and newer key names,
 * booleans and text are understood; what is absent has its default key by key; everything that is wrong is told at once.
 */
import { readFileSync } from 'node:fs'
import { load } from 'js-yaml'
import { messageOf } from '../runtime/errors.ts'
import type { Address } from '../runtime/health-server.ts'
import { type ConfigReader, readConfig } from './config-reader.ts'
import { readAliases, type AliasRule } from './fence/aliases.ts'
import type { LogConfig } from './log/logger.ts'
import { type AutoFenceConfig, readAutoFence } from './auto-fence/config.ts'
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
}

export interface LogSourceConfig {
  readonly address: Address
  /** Accept logs only from the addresses of global-sidecars. */
  readonly checkPeers: boolean
}

export class ConfigError extends Error {
  override readonly name = 'ConfigError'
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
/** The names of the upstream logger, and winston's. */
const LEVELS: ReadonlyMap<string, string> = new Map([
  ...['trace', 'debug'].map((word) => [word, 'debug'] as const),
  ['info', 'info'],
  ...['warn', 'warning'].map((word) => [word, 'warn'] as const),
  ...['error', 'fatal', 'panic'].map((word) => [word, 'error'] as const),
])

/** Reads the file; a missing one gives the defaults. Throws ConfigError with every problem. */
export function loadConfig(file: string): LazyloadConfig {
  try {
    return parseConfig(readText(file), file)
  } catch (error) {
    throw error instanceof ConfigError ? error : new ConfigError(`${file}: ${messageOf(error)}`, { cause: error })
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return '{}'
    throw error
  }
}

/** `text` is JSON or YAML; `file` is for messages. Throws ConfigError with every problem. */
export function parseConfig(text: string, file: string): LazyloadConfig {
  const module = readConfig(load(text, { filename: file }))
  const [global, general] = [module.section('global'), module.section('general')]
  const misc = global.section('misc')
  const source = twice(SOURCES, 'prometheus', [general, 'metricSourceType'], [misc, 'metric_source_type', 'metricSourceType'])
  const config: LazyloadConfig = {
    name: module.text('lazyload', 'name'),
    serviceLabel: global.text('app', 'service'),
    istioNamespace: global.text('istio-system', 'istioNamespace'),
    slimeNamespace: global.text('mesh-operator', 'slimeNamespace'),
    mode: twice(MODES, 'namespace', [general, 'globalSidecarMode'], [misc, 'global-sidecar-mode', 'globalSidecarMode']),
    clusterGsNamespace: general.text('', 'clusterGsNamespace') || undefined,
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
    stableHosts: general.list('stableHost'),
    aliases: readAliases(general),
    maxIdleMs: general.duration(undefined, 'maxIdle'),
  }
  if (module.problems.length > 0) throw new ConfigError(`${file}: ${module.problems.join('; ')}. Correct spec.module of the SlimeBoot.`)
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
    .map(([section, ...keys]) => ({ section, keys, meaning: section.choice(choices, fallback, ...keys) }))
  const [first, second] = said
  if (first !== undefined && second !== undefined && first.meaning !== second.meaning)
    first.section.problems.push(
      `${first.keys[0]} is said twice, as "${String(first.meaning)}" and as "${String(second.meaning)}"; write one of them`,
    )
  return first?.meaning ?? fallback
}

function readLog(log: ConfigReader): LogConfig {
  const rotation = log.section('logRotateConfig')
  return {
    level: log.choice(LEVELS, 'info', 'logLevel'),
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
