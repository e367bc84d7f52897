/** Which fences each lazyload module of a SlimeBoot serves: by namespace and by Istio revision. Each fence has one module: the first. */
import { withBundle } from '../../module/bundle.ts'
import { isBundle, isLazyload, nameOf, processOf } from '../../module/element.ts'
import type { JsonObject } from '../../runtime/object.ts'
import { namespacesOf, ownNamespaces } from './module-namespaces.ts'
import { enabledModules, settingOf } from './modules.ts'
import type { Mode } from './values.ts'

/** Fences of these namespaces and of these revisions; absent: of all. The revision `''` stands for fences that name none. */
export interface FenceSet {
  readonly namespaces?: readonly string[]
  readonly revisions?: readonly string[]
}

export interface ModuleScope extends FenceSet {
  /** Name of the module. */
  readonly module: string
  /** `spec.module[0]` */
  readonly path: string
}

/** Fences that a module leaves to another one. */
export interface ServedElsewhere extends FenceSet {
  /** The other: `module lazyload of SlimeBoot mesh-operator/lazyload`. */
  readonly by: string
}

/** What a module of another SlimeBoot serves that comes before this one. */
export type EarlierScope = ServedElsewhere

/** The scopes of the enabled lazyload modules, in list order. */
export function scopesOf(spec: JsonObject, mode: Mode): readonly ModuleScope[] {
  const modules = enabledModules(spec)
  return modules
    .filter(({ module }) => isLazyload(module) && !isBundle(module))
    .map(({ path, module }) => {
      const bundle = processOf(
        module,
        modules.map((each) => each.module),
      )
      const seen = bundle === module ? module : (withBundle({ name: nameOf(module), module }, bundle) as JsonObject)
      const own = ownNamespaces(module)
      const namespaces = namespacesOf(module, spec, mode) ?? (own.length > 0 ? own : undefined)
      const revisions = revisionsOf(seen)
      return {
        module: nameOf(module),
        path,
        ...(namespaces === undefined ? {} : { namespaces }),
        ...(revisions === undefined ? {} : { revisions }),
      }
    })
}

/**
 * By path of the module the fences that it leaves to others: to modules of other SlimeBoots, then to those before it in the list. Without
 * what an earlier entry has already, so that the list stays short.
 */
export function servedElsewhere(
  spec: JsonObject,
  mode: Mode,
  earlierBoots: readonly EarlierScope[] = [],
): ReadonlyMap<string, readonly ServedElsewhere[]> {
  const scopes = scopesOf(spec, mode)
  return new Map(
    scopes.map((scope, index) => {
      const before = scopes.slice(0, index).map((other) => ({ by: `module ${other.module}`, ...fencesOf(other) }))
      const left: ServedElsewhere[] = []
      for (const { by, ...theirs } of [...earlierBoots, ...before]) {
        const common = commonOf(scope, theirs)
        if (common !== undefined && !left.some((known) => contains(known, common))) left.push({ by, ...common })
      }
      return [scope.path, left]
    }),
  )
}

/** What both have; undefined where that is nothing. */
export function commonOf(a: FenceSet, b: FenceSet): FenceSet | undefined {
  const namespaces = intersection(a.namespaces, b.namespaces)
  const revisions = intersection(a.revisions, b.revisions)
  if (namespaces?.length === 0 || revisions?.length === 0) return undefined
  return { ...(namespaces === undefined ? {} : { namespaces }), ...(revisions === undefined ? {} : { revisions }) }
}

/** Without whose they are. */
export function fencesOf({ namespaces, revisions }: FenceSet): FenceSet {
  return { ...(namespaces === undefined ? {} : { namespaces }), ...(revisions === undefined ? {} : { revisions }) }
}

/** Whether `whole` has all of `part`. */
export function contains(whole: FenceSet, part: FenceSet): boolean {
  return isWithin(part.namespaces, whole.namespaces) && isWithin(part.revisions, whole.revisions)
}

/** For people: `fences of revision 1-20 in namespace shop`. */
export function describeFences({ namespaces, revisions }: FenceSet): string {
  const named = revisions?.filter((revision) => revision !== '') ?? []
  const ofRevision = revisions === undefined ? '' : named.length === 0 ? ' without a revision' : ` of revision ${listed(named)}`
  return `fences${ofRevision}${namespaces === undefined ? '' : ` in namespace ${listed(namespaces)}`}`
}

/** Undefined: all. */
function revisionsOf(module: JsonObject): readonly string[] | undefined {
  const names = settingOf(module, 'revisions').value
  if (names.length === 0) return undefined
  return settingOf(module, 'strictRevisions').value ? names : [...names, '']
}

function intersection(a: readonly string[] | undefined, b: readonly string[] | undefined): readonly string[] | undefined {
  if (a === undefined) return b
  if (b === undefined) return a
  const others = new Set(b)
  return a.filter((each) => others.has(each))
}

function isWithin(part: readonly string[] | undefined, whole: readonly string[] | undefined): boolean {
  if (whole === undefined) return true
  const all = new Set(whole)
  return part !== undefined && part.every((each) => all.has(each))
}

const LISTED = 10

function listed(names: readonly string[]): string {
  return names.length > LISTED ? `${names.slice(0, LISTED).join(', ')} and ${names.length - LISTED} more` : names.join(', ')
}
