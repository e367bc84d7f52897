/** Command line and environment of `/manager`, as the rendered Deployment gives them (spec 6). The only reader of process.env. */
import { existsSync, readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { Command, InvalidArgumentError, Option } from 'commander'
import { CONFIG_FILE } from './config.ts'
import type { LogFormat } from './log/logger.ts'

export interface LazyloadOptions {
  readonly config: string
  readonly kubeconfig: string | undefined
  readonly enableLeaderElection: boolean
  /** Fences are served in these namespaces; empty: all. */
  readonly namespaces: readonly string[]
  /** Fences reconciled at once. */
  readonly workers: number
  readonly logFormat: LogFormat
  readonly podName: string
  /** Of this pod: where its Lease is. */
  readonly podNamespace: string | undefined
}

const NAMESPACE_FILE = '/var/run/secrets/kubernetes.io/serviceaccount/namespace'

/** Runs `work` with the options of the command line. */
export function createCommand(version: string, work: (options: LazyloadOptions) => Promise<void>): Command {
  return new Command('manager')
    .description('Slime lazyload: makes Sidecars of ServiceFences, and learns from access logs or Prometheus who calls whom.')
    .version(version)
    .addOption(new Option('--config <file>', 'configuration of the module, JSON or YAML').default(CONFIG_FILE))
    .addOption(
      new Option('--enable-leader-election [boolean]', 'work only while holding the Lease; the configuration may say otherwise')
        .default(false)
        .preset('true')
        .argParser(parseBoolean),
    )
    .addOption(new Option('--kubeconfig <path>', 'kubeconfig file; without one the ServiceAccount of the pod').env('KUBECONFIG'))
    .addOption(
      new Option('--namespaces <list>', 'serve only these namespaces, separated by commas')
        .env('LAZYLOAD_NAMESPACES')
        .default([], 'all')
        .argParser(parseList),
    )
    .addOption(new Option('--workers <n>', 'fences reconciled at once').default(8).argParser(parseCount))
    .addOption(
      new Option('--log-format <format>', 'json for machines, text for people')
        .choices(['json', 'text'])
        .default(process.stdout.isTTY ? 'text' : 'json', 'text on a terminal, else json'),
    )
    .action(async (flags: Omit<LazyloadOptions, 'podName' | 'podNamespace'>) => {
      await work({ ...flags, podName: process.env['POD_NAME'] ?? hostname(), podNamespace: podNamespace() })
    })
}

/** WATCH_NAMESPACE is the pod's own namespace, whatever it is called: fences are served in all. */
function podNamespace(): string | undefined {
  const said = process.env['WATCH_NAMESPACE'] ?? process.env['POD_NAMESPACE'] ?? ''
  if (said !== '') return said
  return existsSync(NAMESPACE_FILE) ? readFileSync(NAMESPACE_FILE, 'utf8').trim() : undefined
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
