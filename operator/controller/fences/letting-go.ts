/**
 * Letting go of fences: before a catch-all goes, or the module that serves them, the Sidecars of those fences go that nobody else serves.
 * A Sidecar that stays would keep its pods from every host that they have not called yet, and nobody would maintain it.
 *
 * In this order, each step judged by what is there, so that an operator that starts anew goes on: the catch-all is marked as leaving, so
 * that no lazyload makes Sidecars there; modules that go are stopped; Sidecars are deleted, some a second; the fences say that nobody
 * serves them. The fences themselves stay, with all that they have learned.
 */
import type { Logger } from 'winston'
import type { Client } from '../../../runtime/client.ts'
import { hasCode } from '../../../runtime/errors.ts'
import type { EventRecorder } from '../../../runtime/events.ts'
import { type JsonObject, keyOf, type KubeObject, objectId } from '../../../runtime/object.ts'
import { refOf } from '../../../runtime/resource.ts'
import { DEPLOYMENT, ENVOY_FILTER, POD, SIDECAR, SLIMEBOOT } from '../../api/kinds.ts'
import { FIELD_MANAGER, LEAVING_ANNOTATION } from '../../api/slimeboot.ts'
import { failureOf, type ReconcileError } from '../../apply/failure.ts'
import type { Live } from '../../apply/live.ts'
import { hasAvailableReplica } from '../../apply/readiness.ts'
import { claimedOwner, ownerOf, ownershipOf } from '../../apply/ownership.ts'
import { type Fence, type FenceSidecar, isUntold, listFences, listFenceSidecars, sayNotServed } from './fences.ts'
import { type FencePlace, type Service, serviceOf } from './served.ts'

/** Each lets istiod send its pods the whole mesh, megabytes for each: so many a second that it can merge them, and 1,000 in a minute. */
export const SIDECARS_PER_SECOND = 20
/** Conditions written at once; istiod does not look at them. */
const CONDITIONS_AT_ONCE = 50
/** What a lazyload may still do that has not heard of the mark is seen after this time. */
const LOOK_MS = 1000
const POD_POLL_MS = 1000
/** Pods of a module that do not end in this time do not hold up the rest. */
const POD_PATIENCE_MS = 60_000
/** Somebody who makes them again and again does not hold it up for ever. */
const LOOKS = 10

export interface LettingGoDependencies {
  readonly client: Pick<Client, 'get' | 'list' | 'remove' | 'jsonPatch' | 'mergePatch'>
  readonly live: Pick<Live, 'get' | 'record' | 'forget'>
  readonly log: Pick<Logger, 'warn' | 'info'>
  readonly events: Pick<EventRecorder, 'record'>
  readonly operatorDefaults?: JsonObject
  /** Monotonic milliseconds. */
  readonly now?: () => number
}

/** What goes of a SlimeBoot, all of it live and its own. */
export interface Going {
  readonly catchAlls: readonly KubeObject[]
  /** ConfigMaps of modules: a module has the name and namespace of its own. */
  readonly modules: readonly KubeObject[]
  /** Whether a fence loses its service by that; whether somebody else serves it is found out here. */
  readonly leaves: (place: FencePlace, servedBy: string | undefined) => boolean
  /** For the conditions of the fences: `SlimeBoot a/b is deleted`. */
  readonly why: string
  /** Another set of what goes has another text: it is begun anew. */
  readonly subject: string
}

export interface LettingGoStep {
  /** `Kind/namespace/name` of what was deleted, without the Sidecars. */
  readonly deleted: readonly string[]
  readonly blocked: readonly ReconcileError[]
  /** More is to be done after this time, milliseconds; absent: nothing is left, or something blocks it. */
  readonly waitMs?: number
  readonly waitingFor?: string
}

interface Progress {
  /** What goes; another set begins anew. */
  readonly subject: string
  prepared: boolean
  /** Until when the pods of the modules are waited for. */
  podsUntil: number
  queue: readonly FenceSidecar[]
  done: number
  total: number
  looks: number
  /** When the next batch or look is due. */
  dueAt: number
  blocked: ReconcileError[]
  finished: boolean
}

const NOTHING: LettingGoStep = { deleted: [], blocked: [] }

export type LettingGo = ReturnType<typeof createLettingGo>

/** Rates and patience count in this process only. */
export function createLettingGo({ client, live, log, events, operatorDefaults, now = () => performance.now() }: LettingGoDependencies) {
  const boots = new Map<string, Progress>()

  const served = (boot: KubeObject): Service => serviceOf(boot, operatorDefaults === undefined ? {} : { operatorDefaults })

  /** Whether another SlimeBoot serves a fence, with a catch-all of its own that stands; asked of the API server, because this operator may see only some of them. */
  async function othersOf(boot: KubeObject): Promise<(place: FencePlace) => boolean> {
    const map = ({ apiVersion, kind, metadata, ...rest }: KubeObject): KubeObject => {
      const { name, namespace, uid, deletionTimestamp } = metadata
      const kept = { name, ...(namespace === undefined ? {} : { namespace }), ...(uid === undefined ? {} : { uid }) }
      return { apiVersion, kind, metadata: deletionTimestamp === undefined ? kept : { ...kept, deletionTimestamp }, spec: rest['spec'] }
    }
    let items: readonly KubeObject[]
    try {
      ;({ items } = await client.list(SLIMEBOOT, { map }))
    } catch (error) {
      throw failureOf(error, 'list', { ...boot, metadata: { name: '' } })
    }
    const services = items
      .filter(({ metadata }) => metadata.uid !== boot.metadata.uid && metadata.deletionTimestamp === undefined)
      .map((other) => ({ key: keyOf(other), service: served(other) }))
    const known = new Map<string, boolean>()
    return (place) => {
      const key = `${place.namespace}/${place.revision}`
      const found = known.get(key) ?? services.some(({ key: other, service }) => service.serves(place) && stands(other, service, place))
      known.set(key, found)
      return found
    }
  }

  function stands(owner: string, service: Service, { namespace }: FencePlace): boolean {
    const place = service.catchAllNamespace(namespace)
    if (place === undefined) return service.modules.some((module) => runs(owner, module))
    const catchAll = live.get(catchAllIn(place))
    return catchAll !== undefined && claimedOwner(catchAll) === owner && catchAll.metadata.annotations?.[LEAVING_ANNOTATION] === undefined
  }

  /** Whether this module of a SlimeBoot has a pod that can serve fences. */
  function runs(owner: string, module: string): boolean {
    const [namespace = '', name = ''] = module.split('/')
    const deployment = live.get({ apiVersion: DEPLOYMENT.apiVersion, kind: DEPLOYMENT.kind, metadata: { namespace, name } })
    return deployment !== undefined && claimedOwner(deployment) === owner && hasAvailableReplica(deployment)
  }

  /** What is to be let go of now, as the API server has it. */
  async function look(boot: KubeObject, { leaves }: Going): Promise<{ sidecars: readonly FenceSidecar[]; fences: readonly Fence[] }> {
    const fences = await listFences(client)
    const mine = [...fences.values()].filter(({ place, servedBy }) => leaves(place, servedBy))
    const sidecars = (await listFenceSidecars(client)).filter(({ place, fence }) => leaves(place, fences.get(fence)?.servedBy))
    if (mine.length + sidecars.length === 0) return { sidecars, fences: mine }
    const isServed = await othersOf(boot)
    return { sidecars: sidecars.filter(({ place }) => !isServed(place)), fences: mine.filter(({ place }) => !isServed(place)) }
  }

  /** So that no lazyload makes Sidecars there. */
  async function mark(catchAlls: readonly KubeObject[]): Promise<void> {
    for (const catchAll of catchAlls.filter(({ metadata }) => metadata.annotations?.[LEAVING_ANNOTATION] === undefined)) {
      const annotations = { ...catchAll.metadata.annotations, [LEAVING_ANNOTATION]: 'true' }
      await patchAnnotations(catchAll, annotations)
    }
  }

  async function patchAnnotations(catchAll: KubeObject, annotations: Readonly<Record<string, string>>): Promise<void> {
    try {
      const answer = await client.jsonPatch(
        refOf(ENVOY_FILTER, catchAll),
        [
          { op: 'test', path: '/metadata/uid', value: catchAll.metadata.uid },
          { op: 'test', path: '/metadata/resourceVersion', value: catchAll.metadata.resourceVersion },
          { op: 'add', path: '/metadata/annotations', value: annotations },
        ],
        FIELD_MANAGER,
      )
      live.record(answer)
    } catch (error) {
      // somebody writes it at this moment: the next look finds it, and nobody waits for him
      const failure = hasCode(error, 404) ? undefined : failureOf(error, 'apply', catchAll)
      if (failure !== undefined && failure.retry !== 'conflict') throw failure
    }
  }

  /** Stops the modules that go, and returns the pod that has not ended yet. */
  async function stop(modules: readonly KubeObject[], deleted: string[]): Promise<string | undefined> {
    for (const { metadata } of modules) {
      const { name, namespace } = metadata
      const deployment = live.get({
        apiVersion: DEPLOYMENT.apiVersion,
        kind: DEPLOYMENT.kind,
        metadata: { name, ...(namespace === undefined ? {} : { namespace }) },
      })
      if (deployment === undefined || deployment.metadata.deletionTimestamp !== undefined) continue
      try {
        await client.remove(refOf(DEPLOYMENT, deployment), { uid: deployment.metadata.uid })
        if ((deployment.metadata.finalizers ?? []).length === 0) live.forget(deployment)
        deleted.push(objectId(deployment))
      } catch (error) {
        throw failureOf(error, 'delete', deployment)
      }
    }
    for (const { metadata } of modules) {
      const { name, namespace } = metadata
      const { items } = await client.list(POD, { namespace, labelSelector: `app=${name}`, metadataOnly: true, limit: 1 })
      if (items[0] !== undefined) return objectId({ ...items[0], kind: POD.kind })
    }
    return undefined
  }

  async function deleteBatch(progress: Progress, slimeboot: string): Promise<void> {
    const batch = progress.queue.slice(0, SIDECARS_PER_SECOND)
    progress.queue = progress.queue.slice(SIDECARS_PER_SECOND)
    await Promise.all(
      batch.map(async ({ object }) => {
        const { uid, resourceVersion } = object.metadata
        try {
          await client.remove(refOf(SIDECAR, object), { uid, resourceVersion })
          log.info('deleted', { slimeboot, object: objectId(object) })
          progress.done++
        } catch (error) {
          // changed since it was listed: the next look finds it
          if (!hasCode(error, 409)) progress.blocked.push(failureOf(error, 'delete', object))
        }
      }),
    )
  }

  async function writeConditions(fences: readonly Fence[], why: string): Promise<readonly ReconcileError[]> {
    const blocked: ReconcileError[] = []
    await Promise.all(
      fences.slice(0, CONDITIONS_AT_ONCE).map(async (fence) => {
        try {
          await sayNotServed(client, fence, why, new Date())
        } catch (error) {
          if (!hasCode(error, 404) && !hasCode(error, 409)) blocked.push(failureOf(error, 'apply', { ...fence.object }))
        }
      }),
    )
    return blocked
  }

  function progressOf(boot: KubeObject, going: Going): Progress {
    const subject = `${boot.metadata.uid ?? ''} ${going.subject}`
    const key = ownerOf(boot).key
    const known = boots.get(key)
    if (known?.subject === subject) return known
    const progress: Progress = {
      subject,
      prepared: false,
      podsUntil: now() + POD_PATIENCE_MS,
      queue: [],
      done: 0,
      total: 0,
      looks: 0,
      dueAt: 0,
      blocked: [],
      finished: false,
    }
    boots.set(key, progress)
    return progress
  }

  return {
    /** What a SlimeBoot serves by its spec. */
    serviceOf: served,

    /** One step. Called again while `waitMs` is set. Throws ReconcileError. */
    async step(boot: KubeObject, going: Going): Promise<LettingGoStep> {
      const progress = progressOf(boot, going)
      if (progress.finished) return NOTHING
      const deleted: string[] = []
      const wait = (waitMs: number, waitingFor = `the fences: ${progress.done} of ${progress.total} Sidecars let go`): LettingGoStep => ({
        deleted: deleted.sort(),
        blocked: [],
        waitMs,
        waitingFor,
      })
      if (progress.dueAt > now()) return wait(progress.dueAt - now())
      if (progress.queue.length === 0) {
        if (progress.blocked.length > 0) return { deleted, blocked: progress.blocked.splice(0) }
        const { sidecars, fences } = await look(boot, going)
        if (sidecars.length + fences.length === 0) return finish()
        if (!progress.prepared) {
          await mark(going.catchAlls)
          const pod = await stop(going.modules, deleted)
          progress.total = sidecars.length
          if (pod !== undefined && now() < progress.podsUntil)
            return wait(POD_POLL_MS, `${pod} to end, before the Sidecars of its fences go`)
          progress.prepared = true
          progress.dueAt = now() + LOOK_MS
          return wait(LOOK_MS)
        }
        if (sidecars.length > 0 && ++progress.looks > LOOKS) {
          log.warn('Sidecars of fences come back again and again, and are left', { slimeboot: keyOf(boot), sidecars: sidecars.length })
          return finish()
        }
        if (sidecars.length === 0) {
          const untold = fences.filter(isUntold)
          if (untold.length === 0) return finish()
          const blocked = await writeConditions(untold, going.why)
          return blocked.length > 0 ? { deleted, blocked } : wait(0)
        }
        progress.queue = sidecars
        progress.total = progress.done + sidecars.length
      }
      await deleteBatch(progress, keyOf(boot))
      progress.dueAt = now() + LOOK_MS
      return wait(LOOK_MS)

      function finish(): LettingGoStep {
        progress.finished = true
        if (progress.done > 0)
          events.record(
            boot,
            'Normal',
            'FencesLetGo',
            `${progress.done} Sidecars let go, because ${going.why}; their fences stay, with what was learned`,
          )
        return { deleted: deleted.sort(), blocked: [] }
      }
    },

    /** Takes the mark off catch-alls that are to stay after all. Throws ReconcileError. */
    async stay(boot: KubeObject, desired: readonly KubeObject[]): Promise<void> {
      const owner = ownerOf(boot)
      for (const object of desired) {
        const found = live.get(object)
        if (found?.metadata.annotations?.[LEAVING_ANNOTATION] === undefined || ownershipOf(found, owner) !== 'ours') continue
        const { [LEAVING_ANNOTATION]: _, ...annotations } = found.metadata.annotations
        await patchAnnotations(found, annotations)
      }
    },

    /** How many Sidecars are left behind when everything of this SlimeBoot stays. Throws ReconcileError. */
    async countOf(boot: KubeObject, going: Going): Promise<number> {
      return (await look(boot, going)).sidecars.length
    },

    /** Nothing goes of this SlimeBoot any more, or it is gone. */
    forget: (key: string): void => void boots.delete(key),
  }
}

function catchAllIn(namespace: string): KubeObject {
  return { apiVersion: ENVOY_FILTER.apiVersion, kind: ENVOY_FILTER.kind, metadata: { name: 'to-global-sidecar', namespace } }
}
