/** Command line and environment of `/manager`, as the rendered Deployment gives them (spec 6). The only reader of process.env. */
import { hostname } from 'node:os'
import { Command, Option } from 'commander'
import { parseBoolean, parseCount, parseList } from '../runtime/flag-values.ts'
import { podNamespace as mountedNamespace } from '../runtime/pod.ts'
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
  return said === '' ? mountedNamespace() : said
}
