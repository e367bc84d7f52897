/**
 * Leader election by a Lease, as client-go does it: of all replicas one works. It renews the lease every retry period and gives
 * up when that has failed for the renew deadline, earlier than anybody else may take over; the others look every retry period
 * and take the lease when it is released, or was not seen to change for its duration.
 *
 * The time until which writes may be dispatched counts from when the last successful renewal was *sent*: whoever takes over has
 * seen that renewal later, and waits longer (lease duration > renew deadline). So a process that was frozen writes nothing after
 * another one leads, as long as each write asks `checkWrite` when it is dispatched.
 */
import { aborted, after, guarded } from './callbacks.ts'
import type { Client } from './client.ts'
import { hasCode, messageOf } from './errors.ts'
import { claimed, isHeldByOther, LEASE, type LeaseSpec, type Observation, observe, released } from './lease.ts'
import type { KubeObject, OwnerReference } from './object.ts'
import type { ObjectRef } from './resource.ts'
import { sleep } from './sleep.ts'

export interface ElectionTiming {
  /** Whole seconds, as the Lease stores them. */
  readonly leaseDurationMs: number
  readonly renewDeadlineMs: number
  readonly retryPeriodMs: number
}

export interface LeaderElectionOptions {
  /** Must not ask `checkWrite`, and should share no connection with the work: a renewal waits for nobody. */
  readonly client: Pick<Client, 'get' | 'create' | 'replace'>
  readonly namespace: string
  readonly name: string
  /** Of a Lease that is made; it is gone with them. */
  readonly owners?: readonly OwnerReference[]
  /** Differs for each start of each replica, so that a restarted one is not taken for its predecessor. */
  readonly identity: string
  readonly timing: ElectionTiming
  /** After SIGTERM the work has this time to end before its writes are refused and the lease is released (default 20,000 ms). */
  readonly drainMs?: number
  /** The holder has changed; empty when nobody holds the lease. */
  readonly onHolder?: (holder: string) => void
  /** A look at the lease failed; the same message again is not repeated. */
  readonly onProblem?: (error: Error) => void
  /** Milliseconds, monotonic. */
  readonly now?: () => number
}

/** The lease is no longer ours, or can no longer be shown to be: nothing may be written any more. */
export class LeaseLostError extends Error {
  override readonly name = 'LeaseLostError'
}

export type LeaderElection = ReturnType<typeof createLeaderElection>

/** client-go's JitterFactor: a candidate looks again after 1 to 2.2 retry periods. */
const JITTER_FACTOR = 1.2
const DRAIN_MS = 20_000

/** What is wrong with the timing, or undefined. The rules are client-go's, and whole seconds for what the Lease stores. */
export function timingProblem({ leaseDurationMs, renewDeadlineMs, retryPeriodMs }: ElectionTiming): string | undefined {
  if (leaseDurationMs < 1000 || leaseDurationMs % 1000 !== 0) return 'the lease duration must be whole seconds, at least 1s'
  if (retryPeriodMs <= 0) return 'the retry period must be greater than 0'
  if (leaseDurationMs <= renewDeadlineMs) return 'the lease duration must be greater than the renew deadline'
  if (renewDeadlineMs <= retryPeriodMs * JITTER_FACTOR)
    return `the renew deadline must be greater than ${JITTER_FACTOR} times the retry period`
  return undefined
}

export function createLeaderElection(options: LeaderElectionOptions) {
  const { client, namespace, name, owners = [], identity, timing, drainMs = DRAIN_MS } = options
  const { now = () => performance.now() } = options
  const { leaseDurationMs, renewDeadlineMs, retryPeriodMs } = timing
  const onHolder = guarded('lease', 'holder', (current: string) => options.onHolder?.(current))
  const onProblem = guarded('lease', 'problem', (error: Error) => options.onProblem?.(error))
  const ref: ObjectRef = { type: LEASE, namespace, name }
  let lease: KubeObject | undefined
  let observation: Observation | undefined
  let leading = false
  /** Until when writes may be dispatched. */
  let deadline = -Infinity
  let contactAt = now()
  let problem = ''
  let holder: string | undefined

  const specOf = (object: KubeObject): LeaseSpec => object['spec'] ?? {}
  const claim = (previous: LeaseSpec | undefined): LeaseSpec => claimed(previous, identity, leaseDurationMs / 1000, new Date())

  function see(object: KubeObject): Observation {
    lease = object
    contactAt = now()
    problem = ''
    observation = observe(observation, specOf(object), contactAt)
    const current = observation.spec.holderIdentity ?? ''
    if (current !== holder) onHolder?.(current)
    holder = current
    return observation
  }

  /** Writes the record; on success the deadline moves to `renewDeadlineMs` after the request was sent. */
  async function hold(previous: KubeObject | undefined, signal: AbortSignal): Promise<void> {
    const sentAt = now()
    const stored =
      previous === undefined
        ? await client.create(
            LEASE,
            {
              apiVersion: LEASE.apiVersion,
              kind: LEASE.kind,
              metadata: { name, namespace, ownerReferences: owners },
              spec: claim(undefined),
            },
            undefined,
            signal,
          )
        : await client.replace(LEASE, { ...previous, spec: claim(specOf(previous)) }, signal)
    deadline = sentAt + renewDeadlineMs
    see(stored)
  }

  /** True when the lease is ours now. Throws what the API server answered, and LeaseLostError when we led and another one holds it. */
  async function acquireOrRenew(signal: AbortSignal): Promise<boolean> {
    if (leading && lease !== undefined) {
      try {
        await hold(lease, signal)
        return true
      } catch (error) {
        // perhaps the last answer got lost or somebody labelled the Lease: look how it is
        if (signal.aborted) throw error
      }
    }
    const found = await client.get(ref, signal)
    if (found !== undefined) {
      const seen = see(found)
      if (leading && seen.spec.holderIdentity !== identity)
        throw new LeaseLostError(`Lease/${namespace}/${name} is held by "${seen.spec.holderIdentity ?? ''}" now`)
      if (isHeldByOther(seen, identity, now())) return false
    }
    await hold(found, signal)
    return true
  }

  /** One look, bounded in time. False for every failure but a lease that is lost. */
  async function attempt(signal: AbortSignal): Promise<boolean> {
    const limitMs = Math.max(0, Math.min(renewDeadlineMs / 2, leading ? deadline - now() : Infinity))
    // not AbortSignal.timeout: that one fires after a request that has ended, too
    const limit = new AbortController()
    const timer = after(limitMs, 'lease', () => limit.abort())
    try {
      return await acquireOrRenew(AbortSignal.any([signal, limit.signal]))
    } catch (error) {
      if (error instanceof LeaseLostError) throw error
      // another candidate was faster
      if (signal.aborted || (!leading && hasCode(error, 409))) return false
      const silent = error instanceof Error && error.name === 'AbortError'
      const failure = silent ? new Error(`no answer within ${(limitMs / 1000).toFixed(1)} s`, { cause: error }) : (error as Error)
      if (failure.message !== problem) onProblem(failure)
      problem = failure.message
      return false
    } finally {
      clearTimeout(timer)
    }
  }

  async function acquire(signal: AbortSignal): Promise<boolean> {
    while (!signal.aborted) {
      if (await attempt(signal)) return true
      await sleep(retryPeriodMs * (1 + JITTER_FACTOR * Math.random()), signal)
    }
    return false
  }

  /** Renews until `signal` aborts. Throws LeaseLostError at the deadline. */
  async function renew(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await sleep(Math.max(0, Math.min(retryPeriodMs, deadline - now())), signal)
      if (signal.aborted) return
      // a process that was frozen comes here first: it does not try to get back what others may have taken
      if (now() < deadline) await attempt(signal)
      if (now() >= deadline)
        throw new LeaseLostError(
          `Lease/${namespace}/${name} could not be renewed for ${renewDeadlineMs / 1000} s${problem === '' ? '' : `: ${problem}`}`,
        )
    }
  }

  async function release(tries = 2): Promise<void> {
    const signal = AbortSignal.timeout(renewDeadlineMs)
    try {
      const found = await client.get(ref, signal)
      if (found === undefined || specOf(found).holderIdentity !== identity) return
      await client.replace(LEASE, { ...found, spec: released(specOf(found), new Date()) }, signal)
    } catch (error) {
      // a renewal that was under way came between
      if (hasCode(error, 409) && tries > 1) return await release(tries - 1)
      onProblem(
        new Error(`Lease/${namespace}/${name} was not released, others take it when it expires: ${messageOf(error)}`, { cause: error }),
      )
    }
  }

  return {
    /**
     * Waits until the lease is ours, then runs `work`, renewing meanwhile; when `work` has ended the lease is released. The signal
     * that `work` gets aborts with `signal` and on loss. Throws LeaseLostError at once on loss, without waiting for `work`: the
     * process should exit. Resolves without having worked when `signal` aborts before.
     */
    async lead(signal: AbortSignal, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
      if (!(await acquire(signal))) return
      leading = true
      const lost = new AbortController()
      const ended = new AbortController()
      const drained = drain(signal, drainMs, ended.signal)
      const working = work(AbortSignal.any([signal, lost.signal])).finally(() => ended.abort())
      try {
        await Promise.race([working, renew(ended.signal), drained])
      } catch (error) {
        if (error instanceof LeaseLostError) lost.abort(error)
        throw error
      } finally {
        leading = false
        ended.abort()
        if (!lost.signal.aborted) await release()
      }
    },

    /** Throws LeaseLostError when a write must not be dispatched. For `beforeSend` of the transport that the work uses. */
    checkWrite: (write: boolean): void => {
      if (write && !(leading && now() < deadline)) throw new LeaseLostError(`not sent: Lease/${namespace}/${name} is not ours any more`)
    },

    isLeading: () => leading,
    /** Who holds the lease, as last seen; undefined before the first look. */
    holder: () => holder,
    /** Milliseconds since the lease was last read or written. */
    silentMs: () => now() - contactAt,
    /** Why the last look failed; empty when it did not. */
    problem: () => problem,
    /** True when the lease is long lost but the process still there: only a restart helps. */
    isStuck: () => leading && now() > deadline + leaseDurationMs,
  }
}

/** Resolves `ms` after `signal` aborts; never when `ended` aborts first. */
async function drain(signal: AbortSignal, ms: number, ended: AbortSignal): Promise<void> {
  await aborted(signal, ended)
  await sleep(ms, ended)
}
