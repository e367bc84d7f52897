/**
 * The election record of a Lease and what may be concluded from it: pure. Semantics of client-go's leader election
 * (k8s.io/client-go/tools/leaderelection, v0.36).
 */
import { isDeepStrictEqual } from 'node:util'
import type { ResourceType } from './resource.ts'

export const LEASE: ResourceType = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', plural: 'leases', namespaced: true }

/** `spec` of a Lease; other fields that it may have are kept. */
export interface LeaseSpec {
  /** Empty or absent: released. */
  readonly holderIdentity?: string
  readonly leaseDurationSeconds?: number
  readonly acquireTime?: string
  readonly renewTime?: string
  /** How often the holder has changed. */
  readonly leaseTransitions?: number
}

/** A record and when it was first seen as it is, in milliseconds of the observer's own monotonic clock. */
export interface Observation {
  readonly spec: LeaseSpec
  readonly at: number
}

/**
 * Takes in what was read at `now`. The time counts from the first sight of a record, never from the times written in it: the
 * clocks of two machines need not agree.
 */
export function observe(previous: Observation | undefined, spec: LeaseSpec, now: number): Observation {
  return previous !== undefined && isDeepStrictEqual(previous.spec, spec) ? previous : { spec, at: now }
}

/** True while another than `identity` holds the lease: it names a holder, and was seen to change within its duration. */
export function isHeldByOther({ spec, at }: Observation, identity: string, now: number): boolean {
  const holder = spec.holderIdentity ?? ''
  return holder !== '' && holder !== identity && now < at + (spec.leaseDurationSeconds ?? 0) * 1000
}

/** The record by which `identity` takes a lease that nobody holds, or renews its own. `previous` is undefined when there was none. */
export function claimed(previous: LeaseSpec | undefined, identity: string, leaseDurationSeconds: number, time: Date): LeaseSpec {
  const renewTime = microTime(time)
  const mine = previous?.holderIdentity === identity
  return {
    ...previous,
    holderIdentity: identity,
    leaseDurationSeconds,
    acquireTime: mine ? (previous.acquireTime ?? renewTime) : renewTime,
    renewTime,
    leaseTransitions: previous === undefined ? 0 : (previous.leaseTransitions ?? 0) + (mine ? 0 : 1),
  }
}

/** The record by which its holder gives a lease up: anybody may take it at once. */
export function released(previous: LeaseSpec, time: Date): LeaseSpec {
  const now = microTime(time)
  return { ...previous, holderIdentity: '', leaseDurationSeconds: 1, acquireTime: now, renewTime: now }
}

/** `metav1.MicroTime`: exactly six digits after the second, else the API server answers 400. */
export function microTime(time: Date): string {
  return time.toISOString().replace('Z', '000Z')
}
