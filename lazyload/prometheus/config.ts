/** `metric.prometheus`: whom to ask, what, and how often. */
import { type ConfigReader, readDuration } from '../config-reader.ts'
import { RECOVERY_MS } from './evidence.ts'

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

export interface Handler {
  readonly name: string
  /** PromQL with `$namespace` and `$source_app`; with `aggregate` neither. */
  readonly query: string
  /** Asked once for all fences: each sample says by labels `source_app` and `source_workload_namespace` whose it is. */
  readonly aggregate: boolean
}

/** Names and numbers of the upstream enum; both mean the same here. */
const TYPES: ReadonlyMap<string, string> = new Map(['value', 'group', '0', '1'].map((word) => [word, word]))

/** Two answers an interval apart; the interval is jittered by a fifth. */
const INTERVAL_SHARE = 0.8
const LONGEST_PAUSE_MS = 24 * 3_600_000

/** Undefined where nothing is configured, which is a problem when it is `needed`. */
export function readPrometheus(prometheus: ConfigReader, general: ConfigReader, needed: boolean): PrometheusConfig | undefined {
  const said = prometheus.value('address') !== undefined || prometheus.value('handlers') !== undefined
  if (!said && !needed) return undefined
  if (prometheus.value('address') === undefined && needed)
    prometheus.problems.push(
      'metric.prometheus.address is required, because metric_source_type is prometheus; or set metric_source_type to accesslog',
    )
  const url = prometheus.parsed(new URL('http://localhost:9090'), readAddress, 'address')
  const handlers = prometheus
    .section('handlers')
    .entries()
    .map(([name, handler]) => readHandler(name, handler))
  if (handlers.length === 0 && needed)
    prometheus.problems.push('metric.prometheus.handlers is required: at least one handler with its query')
  const intervalMs = general.parsed(30_000, readPause, 'prometheusInterval')
  const address = new URL(url)
  address.username = ''
  address.password = ''
  const credentials = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`
  return {
    address,
    authorization: credentials === ':' ? undefined : `Basic ${Buffer.from(credentials).toString('base64')}`,
    handlers,
    intervalMs,
    absenceMs: Math.max(INTERVAL_SHARE * intervalMs, general.duration(0, 'prometheusAbsence')),
    recoveryMs: general.duration(RECOVERY_MS, 'prometheusRecovery'),
    concurrency: general.count(8, 'prometheusConcurrency'),
    timeoutMs: general.parsed(10_000, readPause, 'prometheusTimeout'),
  }
}

function readPause(value: unknown): number {
  const pause = readDuration(value)
  if (pause > LONGEST_PAUSE_MS) throw new Error('must be at most 24h')
  return pause
}

function readAddress(value: unknown): URL {
  const text = String(value)
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !['http:', 'https:'].includes(url.protocol))
    throw new Error('must be an address such as http://prometheus.istio-system:9090')
  return url
}

function readHandler(name: string, handler: ConfigReader): Handler {
  const query = handler.text('', 'query').trim()
  const aggregate = handler.flag(false, 'aggregate')
  if (query === '') handler.problems.push(`metric.prometheus.handlers.${name}.query is required`)
  handler.choice(TYPES, 'value', 'type')
  if (aggregate && /\$(namespace|source_app)/.test(query))
    handler.problems.push(
      `metric.prometheus.handlers.${name}.query is asked once for all fences (aggregate), so it must not hold $namespace or $source_app`,
    )
  return { name, query, aggregate }
}
