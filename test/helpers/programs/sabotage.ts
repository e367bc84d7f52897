/**
 * Loaded before a program (`node --import`): each callback of runtime/callbacks.ts throws when it is called for the first time, after it
 * has done its work; then errors come out of nowhere, as from a library. What was sabotaged is told by /metrics.
 */
import { registerHooks } from 'node:module'

const done = new Set<string>()

declare global {
  /** Throws for each callback once. */
  var sabotage: (kind: string, place: string) => void
}

globalThis.sabotage = (kind, place) => {
  // not for each of the objects and keys anew
  const callback = `${kind} ${place.split(/[ /]/, 1)[0]}`
  if (done.has(callback)) return
  done.add(callback)
  throw new Error(`sabotaged: ${callback}`)
}

const PATCHES: readonly (readonly [string, string])[] = [
  [
    'const result = callback(...args)',
    "const result = callback(...args); globalThis.sabotage(kind, typeof place === 'string' ? place : placeOf(place, args))",
  ],
  ['work.catch(', "work.then(() => globalThis.sabotage('background', place)).catch("],
]

registerHooks({
  load(url, context, next) {
    const loaded = next(url, context)
    if (!url.endsWith('/runtime/callbacks.ts')) return loaded
    let source = Buffer.from(loaded.source as Uint8Array).toString('utf8')
    for (const [good, bad] of PATCHES) {
      if (!source.includes(good)) throw new Error(`runtime/callbacks.ts has no "${good}" any more`)
      source = source.replace(good, bad)
    }
    return { ...loaded, source }
  },
})

setTimeout(() => {
  throw new Error('sabotaged: uncaught')
}, 500)
setTimeout(() => void Promise.reject(new Error('sabotaged: unhandled')), 500)
