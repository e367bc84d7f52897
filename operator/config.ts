/** Configuration of `slimeboot run`: flags and environment into one frozen object; the only reader of process.env. */
import { existsSync, readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { Address } from '../runtime/health-server.ts'
import { type ElectionTiming, timingProblem } from '../runtime/leader-election.ts'
import type { LogFormat } from './logger.ts'

export interface OperatorConfig {
  readonly kubeconfig: string | undefined
  /** Namespaces whose SlimeBoots are served; empty for all. */
  readonly watchNamespaces: readonly string[]
  readonly selector: string | undefined
  /** SlimeBoots reconciled at once. */
  readonly workers: number
  /** Milliseconds. */
  readonly meshSettle: number
  readonly defaults: string | undefined
  readonly logLevel: string
  readonly logFormat: LogFormat
  /** Where /livez, /readyz and /metrics are served; undefined: nowhere. */
  readonly healthAddress: Address | undefined
  /** Undefined: this process works without asking. */
  readonly leaderElection: ElectionConfig | undefined
  /** Name of this replica, for Events, Lease and user agent. */
  readonly podName: string
  /** Undefined outside a pod. */
  readonly podNamespace: string | undefined
}

export interface ElectionConfig {
  readonly namespace: string
  readonly name: string
  readonly timing: ElectionTiming
}

/** What the flags give; `configOf` makes the configuration of it. */
export interface RunFlags extends Omit<OperatorConfig, 'podName' | 'podNamespace' | 'leaderElection' | 'healthAddress'> {
  readonly healthAddress: Address | false
  readonly leaderElect: boolean
  readonly leaderElectNamespace: string | undefined
  readonly leaderElectName: string
  /** Milliseconds. */
  readonly leaseDuration: number
  readonly renewDeadline: number
  readonly retryPeriod: number
}

const LEASE_NAME = 'slime-boot'
const HELP = `
When the leader is told to end (SIGTERM) it releases the Lease and another replica works after at most 2.2 retry periods; when it
crashes, those after the lease duration. A second SIGTERM ends the process at once. Two replicas without --leader-elect undo each other's work.

Probes: /livez fails when only a restart helps, /readyz while a watch is not listed or has heard nothing for four minutes, or the
Lease cannot be read; a replica that stands by is ready. Both say why; ?verbose lists every check.
`
/** The kubelet puts it into each pod that has a ServiceAccount token. */
const NAMESPACE_FILE = '/var/run/secrets/kubernetes.io/serviceaccount/namespace'

/** Adds the flags of `run` to a command; each can come from the environment. */
export function withConfigOptions(command: Command): Command {
  const pod = isPod()
  const election = (flags: string, description: string): Option =>
    new Option(flags, description).helpGroup('Leader election (of all replicas one works, the others stand by):')
  return command
    .addOption(new Option('--kubeconfig <path>', 'kubeconfig file; without one the ServiceAccount of the pod').env('KUBECONFIG'))
    .addOption(
      new Option('--watch-namespaces <list>', 'serve only SlimeBoots in these namespaces, separated by commas')
        .env('WATCH_NAMESPACE')
        .default([], 'all')
        .argParser(parseList),
    )
    .addOption(
      new Option('--selector <labels>', 'serve only SlimeBoots with these labels (shards: one operator per selector)').env(
        'SLIMEBOOT_SELECTOR',
      ),
    )
    .addOption(new Option('--workers <n>', 'SlimeBoots reconciled at once').env('SLIMEBOOT_WORKERS').default(8).argParser(parseCount))
    .addOption(
      new Option('--mesh-settle <duration>', 'time between removing a catch-all and the global-sidecar behind it: 500ms, 10s, 1m')
        .env('SLIMEBOOT_MESH_SETTLE')
        .default(10_000, '10s')
        .argParser(parseDuration),
    )
    .addOption(
      new Option('--defaults <file>', 'YAML of spec fields that come between the built-in defaults and each spec').env(
        'SLIMEBOOT_DEFAULTS',
      ),
    )
    .addOption(
      new Option('--log-level <level>', 'what is logged')
        .env('SLIMEBOOT_LOG_LEVEL')
        .choices(['error', 'warn', 'info', 'debug'])
        .default('info'),
    )
    .addOption(
      new Option('--log-format <format>', 'json for machines, text for people')
        .env('SLIMEBOOT_LOG_FORMAT')
        .choices(['json', 'text'])
        .default(process.stderr.isTTY ? 'text' : 'json', 'text on a terminal, else json'),
    )
    .addOption(
      new Option('--health-address <host:port>', 'serve /livez, /readyz and /metrics here; :8080 is all addresses, 0 is off')
        .env('SLIMEBOOT_HEALTH_ADDRESS')
        .default(pod ? { port: 8080 } : false, 'in a pod :8080, else 0')
        .argParser(parseAddress),
    )
    .addOption(
      election('--leader-elect [boolean]', 'work only while holding the Lease; needed with several replicas')
        .env('SLIMEBOOT_LEADER_ELECT')
        .default(pod, 'in a pod true, else false')
        .argParser(parseBoolean),
    )
    .addOption(
      election('--leader-elect-namespace <namespace>', 'namespace of the Lease; in a pod its own unless set')
        .env('POD_NAMESPACE')
        .default(podNamespace()),
    )
    .addOption(
      election('--leader-elect-name <name>', 'name of the Lease; each shard (--selector) needs its own')
        .env('SLIMEBOOT_LEADER_ELECT_NAME')
        .default(LEASE_NAME),
    )
    .addOption(
      election('--lease-duration <duration>', 'others take over when the leader was not heard of for this time; whole seconds')
        .env('SLIMEBOOT_LEASE_DURATION')
        .default(15_000, '15s')
        .argParser(parseDuration),
    )
    .addOption(
      election('--renew-deadline <duration>', 'the leader gives up (exit code 1) when it could not renew for this time')
        .env('SLIMEBOOT_RENEW_DEADLINE')
        .default(10_000, '10s')
        .argParser(parseDuration),
    )
    .addOption(
      election('--retry-period <duration>', 'time between two looks at the Lease')
        .env('SLIMEBOOT_RETRY_PERIOD')
        .default(2000, '2s')
        .argParser(parseDuration),
    )
    .addHelpText('after', HELP)
}

/** Throws InvalidArgumentError for flags that contradict each other. */
export function configOf({
  leaderElect,
  leaderElectNamespace,
  leaderElectName,
  leaseDuration,
  renewDeadline,
  retryPeriod,
  healthAddress,
  ...rest
}: RunFlags): OperatorConfig {
  const election = (): ElectionConfig => {
    const timing = { leaseDurationMs: leaseDuration, renewDeadlineMs: renewDeadline, retryPeriodMs: retryPeriod }
    const problem = timingProblem(timing)
    if (problem !== undefined) throw new InvalidArgumentError(`--lease-duration, --renew-deadline, --retry-period: ${problem}.`)
    if (leaderElectNamespace === undefined || leaderElectNamespace === '')
      throw new InvalidArgumentError('--leader-elect needs --leader-elect-namespace outside a pod.')
    if (rest.selector !== undefined && leaderElectName === LEASE_NAME)
      throw new InvalidArgumentError(
        `--selector makes a shard, and each shard has its own leader: set --leader-elect-name to another name than ${LEASE_NAME}.`,
      )
    return { namespace: leaderElectNamespace, name: leaderElectName, timing }
  }
  return Object.freeze({
    ...rest,
    healthAddress: healthAddress === false ? undefined : healthAddress,
    leaderElection: leaderElect ? election() : undefined,
    podName: process.env['POD_NAME'] ?? hostname(),
    podNamespace: process.env['POD_NAMESPACE'] ?? podNamespace(),
  })
}

function isPod(): boolean {
  return process.env['POD_NAMESPACE'] !== undefined || existsSync(NAMESPACE_FILE)
}

function podNamespace(): string | undefined {
  return existsSync(NAMESPACE_FILE) ? readFileSync(NAMESPACE_FILE, 'utf8').trim() : undefined
}

/** `host:port`, `:port` (all addresses), `[::1]:port`; false for `0`. */
export function parseAddress(text: string): Address | false {
  if (text === '0' || text === '') return false
  const match = /^(?:\[([^\]]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(text)
  const port = Number(match?.[3])
  if (match === null || port > 65_535) throw new InvalidArgumentError('Write host:port, :port for all addresses, or 0 for none.')
  const host = match[1] ?? match[2] ?? ''
  return host === '' ? { port } : { host, port }
}

function parseBoolean(text: string): boolean {
  if (text !== 'true' && text !== 'false') throw new InvalidArgumentError('Write true or false.')
  return text === 'true'
}

function parseList(text: string): readonly string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
}

function parseCount(text: string): number {
  const count = Number(text)
  if (!Number.isInteger(count) || count < 1 || count > 1000) throw new InvalidArgumentError('Write a whole number from 1 to 1000.')
  return count
}

/** Milliseconds of `500ms`, `10s`, `2m`. */
export function parseDuration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text) ?? (text === '0' ? ['0', '0', 'ms'] : null)
  if (match === null) throw new InvalidArgumentError('Write a duration such as 500ms, 10s or 2m.')
  return Number(match[1]) * { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[match[2] as 'ms' | 's' | 'm' | 'h']
}
