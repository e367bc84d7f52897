/** Is all well? Told by /modules/livez and /modules/readyz, and why not. */
import type { Check } from '../runtime/health-server.ts'
import type { Informer } from '../runtime/informer.ts'
import { resourceName } from '../runtime/resource.ts'
import { watchChecks } from '../runtime/watch-health.ts'
import { LEASE_DURATION_MS, type Election } from './election.ts'
import { SERVICE_FENCE, SIDECAR } from './kinds.ts'

export interface HealthState {
  readonly informers: readonly Informer[]
  readonly election: Election | undefined
  /** Undefined: no access log is expected. */
  readonly logSource: (() => string | undefined) | undefined
  /** Undefined: Prometheus is not asked. */
  readonly prometheus: (() => string | undefined) | undefined
}

/** Only a restart helps. */
export function liveChecks({ election }: HealthState): readonly Check[] {
  return [
    { name: 'leader-election', problem: election?.isStuck() === true ? 'the lease was lost, and this process did not exit' : undefined },
  ]
}

/** A replica that stands by learns too, so it watches what the leader watches. */
export function readyChecks({ informers, election, logSource, prometheus }: HealthState): readonly Check[] {
  const needed = [SERVICE_FENCE, SIDECAR].map(resourceName)
  const missing = informers.filter((informer) => informer.kindMissing()).map(({ type }) => resourceName(type))
  return [
    ...watchChecks(informers),
    ...needed.map((name) => ({
      name: `kind ${name}`,
      problem: missing.includes(name) ? 'the API server does not know it: its CRD is not installed' : undefined,
    })),
    ...(election === undefined ? [] : [{ name: 'lease', problem: leaseProblem(election) }]),
    ...(logSource === undefined ? [] : [{ name: 'access log', problem: logSource() }]),
    ...(prometheus === undefined ? [] : [{ name: 'prometheus', problem: prometheus() }]),
  ]
}

function leaseProblem(election: Election): string | undefined {
  const silentMs = election.silentMs()
  return silentMs > 2 * LEASE_DURATION_MS
    ? `not read for ${Math.round(silentMs / 1000)} s: ${election.problem() || 'no answer'}`
    : undefined
}
