/** What of a SlimeBoot goes, as far as fences depend on it: when it is deleted, and when its spec leaves something out. Pure. */
import { keyOf, type KubeObject, objectId } from '../../../runtime/object.ts'
import { catchAllOf, isCatchAll } from '../../apply/catch-all.ts'
import type { Going } from './letting-go.ts'
import { type FencePlace, revisionsOfConfig, type Service } from './served.ts'

/** The whole SlimeBoot goes. `objects`: all that is known to be its own and there. `roots`: namespaces whose EnvoyFilters reach the whole mesh. */
export function goingWith(boot: KubeObject, objects: readonly KubeObject[], service: Service, roots: ReadonlySet<string>): Going {
  return goingOf(objects, service, roots, service.serves, `SlimeBoot ${keyOf(boot)} is deleted`, 'delete')
}

/** Only `stale` goes, which its spec does not ask for any more; undefined where no fence depends on that. */
export function goingFrom(boot: KubeObject, stale: readonly KubeObject[], service: Service, roots: ReadonlySet<string>): Going | undefined {
  const relevant = stale.filter((object) => isCatchAll(object) || isModule(object, service))
  if (relevant.length === 0) return undefined
  const modules = relevant
    .filter((object) => isModule(object, service))
    .map(revisionsOfConfig)
    .filter((serves) => serves !== undefined)
  const served = ({ namespace, revision }: FencePlace): boolean => service.reaches(namespace) && modules.some((serves) => serves(revision))
  const subject = relevant.map(objectId).sort().join()
  const going = goingOf(stale, service, roots, served, `SlimeBoot ${keyOf(boot)} does not serve it any more`, subject)
  return { ...going, leaves: (place, servedBy) => !service.serves(place) && going.leaves(place, servedBy) }
}

function goingOf(
  objects: readonly KubeObject[],
  service: Service,
  roots: ReadonlySet<string>,
  served: (place: FencePlace) => boolean,
  why: string,
  subject: string,
): Going {
  const catchAlls = objects.filter(isCatchAll)
  const scopes = new Set(catchAlls.map((object) => catchAllOf(object, roots).scope))
  const modules = objects.filter((object) => isModule(object, service))
  const names = new Set([...modules.map(keyOf), ...service.modules])
  return {
    catchAlls,
    modules,
    // behind a catch-all that goes no Sidecar can stay, whoever wrote it
    leaves: (place, servedBy) =>
      scopes.has('*') || scopes.has(place.namespace) || (served(place) && (servedBy === undefined || names.has(servedBy))),
    why,
    subject,
  }
}

/** Configuration of a lazyload module. Modules live in one namespace: in others anybody there could say that one goes. */
function isModule(object: KubeObject, { home }: Service): boolean {
  return object.kind === 'ConfigMap' && object.metadata.namespace === home && revisionsOfConfig(object) !== undefined
}
