/** SlimeBoot to desired objects: validate, build values, render, mark as owned. Pure; remembered until the SlimeBoot changes. */
import { identityOf, type JsonObject, type KubeObject } from '../../runtime/object.ts'
import { messageOf } from '../../runtime/errors.ts'
import { inOneGo, inTurns } from '../../runtime/turns.ts'
import { CATCH_ALL_ANNOTATION } from '../api/slimeboot.ts'
import { catchAllMark } from '../apply/catch-all.ts'
import type { Claim } from '../apply/claims.ts'
import { ReconcileError } from '../apply/failure.ts'
import { markOwned, ownerOf, type Owner } from '../apply/ownership.ts'
import { type Reach, reachOf } from '../apply/standing.ts'
import type { Manifest } from '../render/manifest.ts'
import { rendering } from '../render/render.ts'
import { RenderError } from '../render/render-error.ts'
import { buildValues, type ValuesOptions } from '../spec/build-values.ts'
import { InvalidSpecError } from '../spec/errors.ts'
import type { ClusterFacts } from '../spec/cluster-facts.ts'
import type { Warning } from '../spec/problems.ts'
import { validate } from '../spec/validate.ts'
import type { Values } from '../spec/values.ts'

export interface Desired {
  readonly manifest: Manifest
  /** The rendered object with our marks. */
  readonly object: KubeObject
}

export interface Compiled {
  readonly owner: Owner
  readonly values: Values
  readonly desired: readonly Desired[]
  readonly claim: Claim
  /** Where marks of this SlimeBoot can be true. */
  readonly reach: Reach
  readonly warnings: readonly Warning[]
}

export interface CompileOptions {
  readonly facts?: ClusterFacts
  /** The operator's defaults file, between the built-in defaults and the spec. */
  readonly operatorDefaults?: JsonObject
}

/** Throws ReconcileError `InvalidSpec` or `RenderFailed`, terminal but for what only the cluster's facts stand against. */
export function compile(boot: KubeObject, options: CompileOptions = {}): Compiled {
  return inOneGo(compiling(boot, options))
}

function* compiling(boot: KubeObject, options: CompileOptions): Generator<void, Compiled> {
  const defaults = options.operatorDefaults === undefined ? {} : { operatorDefaults: options.operatorDefaults }
  const { errors, warnings } = validate(boot, options.facts, defaults)
  yield
  try {
    if (errors.length > 0) throw new InvalidSpecError(errors)
    const values = buildValues(boot, { ...defaults, ...valuesFacts(options.facts) })
    const owner = ownerOf(boot)
    yield
    const manifests = yield* rendering(values)
    const desired: Desired[] = []
    for (const manifest of manifests) {
      desired.push({ manifest, object: markOwned(withCatchAllMark(manifest), owner) })
      yield
    }
    const claim = {
      objects: new Set(desired.map(({ object }) => identityOf(object))),
      catchAlls: desired.flatMap(({ manifest }) => manifest.catchAll ?? []),
    }
    const objects = desired.map(({ object }) => object)
    return { owner, values, desired, claim, reach: reachOf(boot, objects, options.facts?.rootNamespace), warnings }
  } catch (error) {
    if (error instanceof InvalidSpecError) {
      // what the cluster alone stands against may heal there
      const heals = validate(boot, {}, defaults).errors.length === 0
      throw new ReconcileError(error.reason, error.message, heals ? 'heals' : 'terminal', { cause: error })
    }
    if (error instanceof RenderError) throw new ReconcileError('RenderFailed', error.message, 'terminal', { cause: error })
    throw new ReconcileError(
      'InternalError',
      `rendering failed: ${messageOf(error)}. This is a bug of the operator; please report it with the SlimeBoot.`,
      'terminal',
      { cause: error },
    )
  }
}

function valuesFacts({ earlier, foundPorts }: ClusterFacts = {}): Pick<ValuesOptions, 'earlier' | 'foundPorts'> {
  return { ...(earlier === undefined ? {} : { earlier }), ...(foundPorts === undefined ? {} : { foundPorts }) }
}

/** Whatever ports there are, the same objects are rendered. */
const SOME_PORT: ClusterFacts = { foundPorts: [{ port: 80 }] }

function withCatchAllMark(manifest: Manifest): KubeObject {
  const { object, catchAll } = manifest
  if (catchAll === undefined) return object
  const annotations = { ...object.metadata.annotations, [CATCH_ALL_ANNOTATION]: catchAllMark(catchAll) }
  return { ...object, metadata: { ...object.metadata, annotations } }
}

/**
 * Remembers the latest compilation of each SlimeBoot while it and the facts stay the same; forgets the least recently used beyond
 * `capacity` objects: enough for 300 namespaces, while a small SlimeBoot is rendered anew in milliseconds.
 */
export function createCompiler(options: CompileOptions, capacity = 3000) {
  const memory = new Map<string, { readonly of: string; readonly compiled: Compiled }>()
  let size = 0

  function forget(uid: string): void {
    size -= memory.get(uid)?.compiled.desired.length ?? 0
    memory.delete(uid)
  }

  return {
    /** In turns of the event loop. Throws as `compile` does. */
    async compile(boot: KubeObject, facts: ClusterFacts): Promise<Compiled> {
      const key = boot.metadata.uid ?? ''
      const of = JSON.stringify([boot.metadata.generation, facts])
      const known = memory.get(key)
      forget(key)
      const compiled = known?.of === of ? known.compiled : await inTurns(compiling(boot, { ...options, facts }))
      forget(key)
      memory.set(key, { of, compiled })
      size += compiled.desired.length
      for (const oldest of memory.keys()) {
        if (size <= capacity || oldest === key) break
        forget(oldest)
      }
      return compiled
    },
    /** The rendered objects, without any facts but that ports are found where they are to be; none where the spec is invalid. */
    async rendered(boot: KubeObject): Promise<readonly KubeObject[]> {
      try {
        return (await inTurns(compiling(boot, { ...options, facts: SOME_PORT }))).desired.map(({ object }) => object)
      } catch {
        return []
      }
    },
    forget: (boot: KubeObject) => forget(boot.metadata.uid ?? ''),
  }
}
