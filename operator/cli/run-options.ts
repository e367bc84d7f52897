/** Flags of `slimeboot run`, with their environment variables, defaults and help. */
import { type Command, Option } from 'commander'
import { parseAddress, parseBoolean, parseCount, parseDuration, parseList } from '../../runtime/flag-values.ts'
import { podNamespace } from '../../runtime/pod.ts'
import { LEASE_NAME } from '../config.ts'

const HELP = `
When the leader is told to end (SIGTERM) it releases the Lease and another replica works after at most 2.2 retry periods; when it
crashes, those after the lease duration. A second SIGTERM ends the process at once. Two replicas without --leader-elect undo each other's work.

Probes: /livez fails when only a restart helps, /readyz while a watch is not listed or has heard nothing for four minutes, or the
Lease cannot be read; a replica that stands by is ready. Both say why; ?verbose lists every check.
`

/** Adds the flags of `run` to a command; each can come from the environment. */
export function withConfigOptions(command: Command): Command {
  const pod = process.env['POD_NAMESPACE'] !== undefined || podNamespace() !== undefined
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
