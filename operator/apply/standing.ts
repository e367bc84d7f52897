/**
 * Standing: what an object that carries a SlimeBoot's marks is to it. Whoever may write in one namespace can write every mark there, our
 * field manager's name too; so marks count by themselves only where the SlimeBoot renders, and elsewhere they cause nothing but the
 * removal of that very object.
 */
import { isJsonObject, type KubeObject } from '../../runtime/object.ts'
import { OWNED_ANNOTATION } from '../api/slimeboot.ts'
import { DEFAULTS } from '../spec/defaults.ts'
import { listedNames } from '../spec/module-namespaces.ts'
import { clusterNamespace } from '../spec/modules.ts'
import { appliedByUs, type Owner, type Ownership, ownershipOf } from './ownership.ts'

/** Where a SlimeBoot's marks can be true. */
export interface Reach {
  /** Namespaces that it renders into, or says that it would. */
  readonly namespaces: ReadonlySet<string>
  /** Namespaces whose EnvoyFilters reach the whole mesh. */
  readonly roots: ReadonlySet<string>
}

/**
 * `left-behind`: in a namespace that the SlimeBoot does not render into (any more), applied under our name: removed, but nobody waits
 * for it. `forged`: its marks cannot be true; told, never touched.
 */
export type Standing = Exclude<Ownership, 'another-slimeboot'> | 'left-behind' | 'forged'

/** Judges an object that carries the label of `owner`. */
export function standingOf(object: KubeObject, owner: Owner, { namespaces }: Pick<Reach, 'namespaces'>): Standing {
  const ownership = ownershipOf(object, owner)
  if (ownership === 'another-slimeboot') return 'forged'
  if (ownership === 'foreign') return object.metadata.annotations?.[OWNED_ANNOTATION] === undefined ? 'foreign' : 'forged'
  if (ownership === 'copy') return 'copy'
  const { namespace = '' } = object.metadata
  if (namespace === '' || namespaces.has(namespace)) return 'ours'
  return appliedByUs(object) ? 'left-behind' : 'forged'
}

/**
 * The reach of a SlimeBoot that renders `objects`. Its spec is read for the namespaces it names as well: they count where it is invalid and
 * renders nothing, and the mesh's root also where nothing is rendered there. `rootNamespace`: what Istio's own configuration says.
 */
export function reachOf(boot: KubeObject, objects: readonly KubeObject[], rootNamespace?: string): Reach {
  const spec = isJsonObject(boot['spec']) ? boot['spec'] : {}
  const home = textOf(spec['namespace']) ?? (DEFAULTS['namespace'] as string)
  const istio = textOf(spec['istioNamespace']) ?? (DEFAULTS['istioNamespace'] as string)
  const named = [...listedNames(spec), clusterNamespace(spec)].flatMap((name) => textOf(name) ?? [])
  const rendered = objects.flatMap(({ metadata }) => metadata.namespace ?? [])
  const roots = new Set([istio, ...(rootNamespace === undefined ? [] : [rootNamespace])])
  return { namespaces: new Set([home, istio, ...named, ...rendered]), roots }
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}
