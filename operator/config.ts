/** Configuration of `slimeboot run`: flags (cli/run-options.ts) and environment into one frozen object. */
import { hostname } from 'node:os'
import { InvalidArgumentError } from 'commander'
import type { Address } from '../runtime/health-server.ts'
import { type ElectionTiming, timingProblem } from '../runtime/leader-election.ts'
import { podNamespace } from '../runtime/pod.ts'
import type { LogFormat } from './logger.ts'

export interface OperatorConfig {
  /** Path; undefined: the pod's ServiceAccount. */
  readonly kubeconfig: string | undefined
  /** Namespaces whose SlimeBoots are served; empty for all. */
  readonly watchNamespaces: readonly string[]
  /** Label selector of the SlimeBoots that are served; undefined for all. */
  readonly selector: string | undefined
  /** SlimeBoots reconciled at once. */
  readonly workers: number
  /** Time that the mesh needs to learn that a catch-all is gone, milliseconds. */
  readonly meshSettle: number
  /** Path of the defaults file (defaults-file.ts). */
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

/** Flags as commander gives them; `configOf` makes the configuration of them. */
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

/** Name of the Lease unless told otherwise. */
export const LEASE_NAME = 'slime-boot'

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
