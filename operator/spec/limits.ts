/**
 * How large a spec may be. Some of it the CRD refuses already; what was stored under an older CRD, and what a schema cannot measure, is
 * refused here before anything is made of it: one SlimeBoot must not hold up all others. No honest one comes near.
 */
import { isJsonObject, type JsonObject } from '../../runtime/object.ts'
import { problem, type Problem } from './problems.ts'

/** Entries, as in the CRD, which a test compares. */
export const SPEC_LIMITS = {
  /** Keys of `spec` itself; not in the CRD, which says why. */
  keys: 200,
  modules: 50,
  /** `component.globalSidecar.namespace` */
  namespaces: 1000,
  wormholePorts: 100,
  dispatches: 100,
  domains: 100,
} as const

/** Virtual hosts of one catch-all, and their domains: a dispatch has one for each port. */
const MAX_VIRTUAL_HOSTS = 1000
const MAX_DOMAINS = 3000
/** Maps, lists and scalars of the whole spec; characters of its texts and keys. */
const MAX_VALUES = 20_000
const MAX_TEXT = 512 * 1024

/** What is too large; of the rest nothing may be looked at while there is any. */
export function excessOf(spec: JsonObject): Problem[] {
  const size = sizeOf(spec)
  if (size !== undefined) return [problem('spec', `must not have more than ${size}. Split it into several SlimeBoots.`)]
  const problems: Problem[] = []
  const limit = (path: string, found: number, most: number): void => {
    if (found > most)
      problems.push(problem(path, `must not have more than ${most} entries, got ${found}. Split it into several SlimeBoots.`))
  }
  limit('spec', Object.keys(spec).length, SPEC_LIMITS.keys)
  const modules = listAt(spec, 'module')
  limit('spec.module', modules.length, SPEC_LIMITS.modules)
  limit(
    'spec.component.globalSidecar.namespace',
    listAt(mapAt(mapAt(spec, 'component'), 'globalSidecar'), 'namespace').length,
    SPEC_LIMITS.namespaces,
  )
  for (const [index, module] of modules.slice(0, SPEC_LIMITS.modules).entries())
    // one of them is read, under one of its names
    for (const part of ['fence', 'general']) problems.push(...excessOfDispatches(mapAt(module, part), `spec.module[${index}].${part}`))
  return problems
}

function excessOfDispatches(settings: unknown, path: string): Problem[] {
  const [ports, dispatches] = [listAt(settings, 'wormholePort'), listAt(settings, 'dispatches')]
  const problems = [
    ...tooMany(`${path}.wormholePort`, ports.length, SPEC_LIMITS.wormholePorts),
    ...tooMany(`${path}.dispatches`, dispatches.length, SPEC_LIMITS.dispatches),
    ...dispatches
      .slice(0, SPEC_LIMITS.dispatches)
      .flatMap((dispatch, place) =>
        tooMany(`${path}.dispatches[${place}].domains`, listAt(dispatch, 'domains').length, SPEC_LIMITS.domains),
      ),
  ]
  if (problems.length > 0) return problems
  const virtualHosts = ports.length * dispatches.length
  const domains = ports.length * dispatches.reduce((sum: number, dispatch) => sum + listAt(dispatch, 'domains').length, 0)
  if (virtualHosts <= MAX_VIRTUAL_HOSTS && domains <= MAX_DOMAINS) return []
  return [
    problem(
      `${path}.dispatches`,
      `makes ${virtualHosts} virtual hosts with ${domains} domains for ${ports.length} ports; a catch-all holds at most ${MAX_VIRTUAL_HOSTS} with ${MAX_DOMAINS}. Use wildcard domains, or fewer ports.`,
    ),
  ]
}

function tooMany(path: string, found: number, most: number): Problem[] {
  return found <= most ? [] : [problem(path, `must not have more than ${most} entries, got ${found}. Split it into several SlimeBoots.`)]
}

/** Which measure is exceeded; looks no further than that. */
function sizeOf(spec: JsonObject): string | undefined {
  let [values, text] = [0, 0]
  const left: unknown[] = [spec]
  while (left.length > 0) {
    const value = left.pop()
    if (++values > MAX_VALUES) return `${MAX_VALUES} values`
    if (typeof value === 'string') text += value.length
    else if (Array.isArray(value)) {
      if (value.length > MAX_VALUES) return `${MAX_VALUES} values`
      left.push(...(value as readonly unknown[]))
    } else if (isJsonObject(value)) {
      const entries = Object.entries(value)
      if (entries.length > MAX_VALUES) return `${MAX_VALUES} values`
      for (const [key, inner] of entries) {
        text += key.length
        left.push(inner)
      }
    }
    if (text > MAX_TEXT) return `${MAX_TEXT / 1024} KiB of text`
  }
  return undefined
}

function mapAt(value: unknown, key: string): unknown {
  return isJsonObject(value) ? value[key] : undefined
}

function listAt(value: unknown, key: string): readonly unknown[] {
  const list = mapAt(value, key)
  return Array.isArray(list) ? list : []
}
