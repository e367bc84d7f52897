/** List-and-watch of one type into a cache; never gives up, tells how fresh it is. Handlers only enqueue. */
import { createBackoff } from './backoff.ts'
import { attempt, guarded } from './callbacks.ts'
import type { Client } from './client.ts'
import { ApiError, ConnectionError, hasCode } from './errors.ts'
import { keyOf, type KubeObject, objectId } from './object.ts'
import { createObjectCache, type OnChange } from './object-cache.ts'
import { compareResourceVersions } from './resource-version.ts'
import type { ResourceType } from './resource.ts'
import { jittered, sleep } from './sleep.ts'
import { createTurns } from './turns.ts'
import { BAD_EVENT, readWatch, SILENT_WATCH } from './watch.ts'

export type { ChangeSource } from './object-cache.ts'

export interface InformerOptions {
  readonly client: Pick<Client, 'list' | 'watch'>
  readonly type: ResourceType
  readonly namespace?: string | undefined
  readonly labelSelector?: string | undefined
  readonly fieldSelector?: string | undefined
  /** What is kept of an object: smaller is better, `metadata` must stay. An object that makes it throw is told, and stays as it was known. */
  readonly transform?: (object: KubeObject) => KubeObject
  /** List in pages: costs the API server more than one answer out of its cache, but the whole is never in memory as it came. */
  readonly paged?: boolean
  /** After every change of the cache. Must not wait. */
  readonly onChange?: OnChange
  /** The kind can be watched again after it was missing or forbidden. */
  readonly onRegained?: () => void
  /** Each failure that leads to a retry; a missing kind once, until it is there. */
  readonly onProblem?: (problem: InformerProblem) => void
  /** Every API server has this kind: a 404 is somebody else's answer, such as a proxy's, and says nothing. */
  readonly builtIn?: boolean
  readonly timing?: Partial<Timing>
}

export interface InformerProblem {
  readonly type: ResourceType
  readonly error: unknown
  readonly retryInMs: number
}

interface Timing {
  /** The server ends a watch after this time, jittered. */
  readonly watchSeconds: number
  /** A watch that says nothing, not even a bookmark (one a minute), is dead. */
  readonly inactivityMs: number
  readonly backoffMs: number
  readonly maxBackoffMs: number
  /** A kind that the server does not know is asked for again after this time. */
  readonly missingKindMs: number
}

/** A server may ask to wait, but not for longer than this: nothing is heard meanwhile. */
const LONGEST_WAIT_MS = 60_000

const TIMING: Timing = { watchSeconds: 300, inactivityMs: 150_000, backoffMs: 200, maxBackoffMs: 20_000, missingKindMs: 10_000 }

export type Informer = ReturnType<typeof createInformer>

/** Nothing is listed before `run`, which resolves when its signal aborts and never rejects. */
export function createInformer(options: InformerOptions) {
  const {
    client,
    type,
    namespace,
    labelSelector,
    fieldSelector,
    transform = (object) => object,
    onChange = () => {},
    builtIn = false,
  } = options
  const onRegained = guarded('watch', `regained ${type.plural}`, () => options.onRegained?.())
  const onProblem = guarded('watch', `problem of ${type.plural}`, (problem: InformerProblem) => options.onProblem?.(problem))
  const timing = { ...TIMING, ...options.timing }
  const cache = createObjectCache(onChange)
  /** As the cache keeps it. One object that cannot be read must not hold up the others: what was known of it stays, or it is unknown. */
  const kept = (object: KubeObject): KubeObject | undefined =>
    attempt('watch', objectId(object), () => transform(object), undefined) ?? cache.get(keyOf(object))
  const turns = createTurns()
  /** From where to watch on; undefined: list first. */
  let resourceVersion: string | undefined
  /** The newest one that a list or a watch has told. */
  let newest: string | undefined
  let synced = false
  /** There was a list since the kind is there. */
  let listed = false
  /** There was one before the kind went missing. */
  let vanished = false
  let kindMissing = false
  let forbidden = false
  let heardAt = 0
  let relists = 0
  const waiting: (() => void)[] = []
  const waitingForList: (() => void)[] = []

  function markSynced(): void {
    synced = true
    heardAt = performance.now()
    for (const resolve of waiting.splice(0)) resolve()
    if (listed || kindMissing) for (const resolve of waitingForList.splice(0)) resolve()
  }

  /** No CRD (any more): nothing of this kind exists, which is knowledge too. */
  function markMissing(): void {
    kindMissing = true
    forbidden = false
    vanished ||= listed
    listed = false
    resourceVersion = undefined
    cache.clear()
    markSynced()
  }

  function markSeen(): void {
    const regained = kindMissing || forbidden
    kindMissing = false
    forbidden = false
    if (regained) onRegained()
  }

  async function relist(signal: AbortSignal): Promise<void> {
    relists++
    // `0` is served from the API server's cache, as client-go does; after a 410 the list must be as new as the error was
    const fromCache = relists === 1 && options.paged !== true
    const list = await client.list(type, {
      namespace,
      labelSelector,
      fieldSelector,
      signal,
      map: kept,
      ...(fromCache ? { resourceVersion: '0' } : {}),
    })
    // etcd was restored from a backup
    const rewritten = compareResourceVersions(list.resourceVersion, newest) < 0
    await cache.replaceAll(list.items, list.resourceVersion, rewritten, turns)
    resourceVersion = newest = list.resourceVersion
    listed = true
    vanished = false
    markSynced()
  }

  async function watchOnce(signal: AbortSignal): Promise<void> {
    const timeoutSeconds = Math.round(jittered(timing.watchSeconds, 0.2))
    const response = await client.watch(type, {
      namespace,
      labelSelector,
      fieldSelector,
      resourceVersion: resourceVersion!,
      timeoutSeconds,
      signal,
    })
    heardAt = performance.now()
    markSeen()
    for await (const event of readWatch(response, timing.inactivityMs)) {
      heardAt = performance.now()
      const at = event.type === 'BOOKMARK' ? event.resourceVersion : event.object.metadata.resourceVersion
      if (compareResourceVersions(at, resourceVersion) < 0) {
        resourceVersion = undefined
        throw new Error(`the API server went back to resource version ${at}`)
      }
      if (event.type !== 'BOOKMARK') {
        const object = { ...event.object, apiVersion: type.apiVersion, kind: type.kind }
        if (event.type === 'DELETED') cache.remove(object)
        else {
          const now = kept(object)
          if (now !== undefined) cache.put(now, 'watch')
        }
      }
      resourceVersion = newest = at
      if (turns.isOver()) await turns.next()
    }
  }

  async function run(signal: AbortSignal): Promise<void> {
    const backoff = createBackoff(timing.backoffMs, timing.maxBackoffMs)
    let refusedAt: string | undefined
    let expired = false
    while (!signal.aborted) {
      const startedAt = performance.now()
      try {
        if (resourceVersion === undefined) await relist(signal)
        await watchOnce(signal)
        expired = false
        // a server that ends every watch at once must not be asked in a loop
        if (performance.now() - startedAt < 1000) await sleep(backoff.next(), signal)
        else backoff.reset()
      } catch (error) {
        if (signal.aborted) return
        if (isRefusal(error)) {
          // the same answer twice to the same question: another one is asked
          if (hasCode(error, 410) || refusedAt === resourceVersion) resourceVersion = undefined
          refusedAt = resourceVersion
        }
        if (!builtIn && error instanceof ApiError && error.unknownKind) {
          const isNew = !kindMissing || forbidden
          markMissing()
          if (isNew) onProblem({ type, error, retryInMs: timing.missingKindMs })
          await sleep(jittered(timing.missingKindMs), signal)
          continue
        }
        if (hasCode(error, 403)) {
          // others can go on; who needs this kind is told so
          forbidden = true
          markSynced()
        }
        // a server that was away is back, and knows what to do next: what was waited for is over
        const goesOn = hasCode(error, 410) && !expired
        expired = hasCode(error, 410)
        if (goesOn || performance.now() - startedAt > timing.maxBackoffMs) backoff.reset()
        const asked = error instanceof ApiError && error.retryAfter !== undefined ? Math.min(error.retryAfter * 1000, LONGEST_WAIT_MS) : 0
        const silent = error instanceof ConnectionError && error.code === SILENT_WATCH
        // Not even bookmarks. Mostly the connection is dead; but a server whose etcd was restored from a backup says nothing either until
        // it has reached the version asked for, and only a list shows that. At once: it is not the server that is at fault.
        if (silent) resourceVersion = undefined
        const retryInMs = silent ? 0 : Math.max(asked, backoff.next())
        onProblem({ type, error, retryInMs })
        await sleep(retryInMs, signal)
      }
    }
  }

  return {
    type,
    run,
    get: cache.get,
    values: cache.values,
    size: cache.size,
    /** True once the first list is in, and while its kind exists or is known to be missing. */
    synced: () => synced,
    /** The API server does not know the kind: its CRD is missing. */
    kindMissing: () => kindMissing,
    /** Listing or watching is forbidden: the cache is empty or out of date. */
    forbidden: () => forbidden,
    /**
     * The cache may lack what there is: it was never listed, may not be read, or its kind has vanished. A kind that was missing from the
     * start is no reason: nothing of it exists.
     */
    blind: () => forbidden || vanished || (!listed && !kindMissing),
    /** Full lists so far. */
    relists: () => relists,
    /** Milliseconds since anything was heard: an event, a bookmark, a new watch. */
    silentMs: () => performance.now() - heardAt,
    async whenSynced(): Promise<void> {
      if (!synced) await new Promise<void>((resolve) => waiting.push(resolve))
    },
    /** Resolves when it has been listed, or its kind is known to be missing; not when it is only forbidden. */
    async whenListed(): Promise<void> {
      if (!listed && !kindMissing) await new Promise<void>((resolve) => waitingForList.push(resolve))
    },
    /** Takes in the answer of a write, so that the next reconcile sees it before its watch event comes. */
    record(object: KubeObject): void {
      const now = kept(object)
      if (now !== undefined) cache.put(now, 'write')
    },
    /** Takes in that an object is gone. */
    forget: (object: KubeObject) => cache.forget(object),
  }
}

/** The API server heard the request and cannot serve it, or sends what cannot be read; not a matter of rights, load or connection. */
function isRefusal(error: unknown): boolean {
  if (error instanceof ApiError) return ![401, 403, 429].includes(error.code)
  return error instanceof ConnectionError && error.code === BAD_EVENT
}
