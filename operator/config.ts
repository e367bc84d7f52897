/** Configuration of `slimeboot run`: flags and environment into one frozen object; the only reader of process.env. */
import { hostname } from 'node:os'
import { type Command, InvalidArgumentError, Option } from 'commander'
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
  /** Name of this replica, for Events. */
  readonly podName: string
}

/** Adds the flags of `run` to a command; each can come from the environment. */
export function withConfigOptions(command: Command): Command {
  return command
    .addOption(new Option('--kubeconfig <path>', 'kubeconfig file; without one the ServiceAccount of the pod').env('KUBECONFIG'))
    .addOption(new Option('--watch-namespaces <list>', 'serve only SlimeBoots in these namespaces, separated by commas').env('WATCH_NAMESPACE').default([], 'all').argParser(parseList))
    .addOption(new Option('--selector <labels>', 'serve only SlimeBoots with these labels (shards: one operator per selector)').env('SLIMEBOOT_SELECTOR'))
    .addOption(new Option('--workers <n>', 'SlimeBoots reconciled at once').env('SLIMEBOOT_WORKERS').default(8).argParser(parseCount))
    .addOption(new Option('--mesh-settle <duration>', 'time between removing a catch-all and the global-sidecar behind it: 500ms, 10s, 1m').env('SLIMEBOOT_MESH_SETTLE').default(10_000, '10s').argParser(parseDuration))
    .addOption(new Option('--defaults <file>', 'YAML of spec fields that come between the built-in defaults and each spec').env('SLIMEBOOT_DEFAULTS'))
    .addOption(new Option('--log-level <level>', 'what is logged').env('SLIMEBOOT_LOG_LEVEL').choices(['error', 'warn', 'info', 'debug']).default('info'))
    .addOption(new Option('--log-format <format>', 'json for machines, text for people').env('SLIMEBOOT_LOG_FORMAT').choices(['json', 'text']).default(process.stderr.isTTY ? 'text' : 'json', 'text on a terminal, else json'))
}

export function configOf(options: Omit<OperatorConfig, 'podName'>): OperatorConfig {
  return Object.freeze({ ...options, podName: process.env['POD_NAME'] ?? hostname() })
}

function parseList(text: string): readonly string[] {
  return text.split(',').map((part) => part.trim()).filter((part) => part !== '')
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
