/** Leader election of lazyload: the leader writes Sidecars and fences, every replica learns. */
import { randomUUID } from 'node:crypto'
import type { Logger } from 'winston'
import { createClient } from '../runtime/client.ts'
import { createLeaderElection, type LeaderElection } from '../runtime/leader-election.ts'
import { createTransport, type TransportOptions } from '../runtime/transport.ts'
import type { LazyloadConfig } from './config.ts'
import { leaseOwners } from './lease-owner.ts'
import type { LazyloadOptions } from './options.ts'

export type Election = LeaderElection & { readonly close: () => void }

/** controller-runtime's: others take over after 15 s, or at once when the leader ends in peace. */
const TIMING = { leaseDurationMs: 15_000, renewDeadlineMs: 10_000, retryPeriodMs: 2000 }

export const LEASE_DURATION_MS = TIMING.leaseDurationMs

/** Undefined where this process works without asking: the configuration decides before the command line. */
export function createElection(
  config: LazyloadConfig,
  options: LazyloadOptions,
  transportOptions: TransportOptions,
  log: Logger,
): Election | undefined {
  if (!(config.leaderElection ?? options.enableLeaderElection)) return undefined
  const { podName, podNamespace: namespace } = options
  if (namespace === undefined)
    throw new Error('leader election needs the namespace of its Lease: set WATCH_NAMESPACE, or enable-leader-election to off')
  const identity = `${podName}_${randomUUID()}`
  // each module has its own: two of them may serve the fences of two revisions of Istio
  const { name } = config
  const lease = `${namespace}/${name}`
  // a renewal waits for no other request
  const transport = createTransport(transportOptions)
  const election = createLeaderElection({
    client: createClient(transport),
    namespace,
    name,
    owners: leaseOwners(namespace),
    identity,
    timing: TIMING,
    onHolder: (holder) => {
      if (holder === identity) log.info('leading', { lease })
      else if (holder === '') log.info('lease released', { lease })
      else log.info('standing by', { lease, leader: holder })
    },
    onProblem: (error) => log.warn('leader election', { lease, error: error.message }),
  })
  return { ...election, close: () => transport.close() }
}
