/** What of a SlimeBoot goes, as far as fences depend on it: when it is deleted, and when its spec leaves something out. Pure. */
import { keyOf, type KubeObject, objectId } from '../../../runtime/object.ts'
import { catchAllScope, isCatchAll } from '../../apply/catch-all.ts'
import type { Going } from './letting-go.ts'
import { type FencePlace, revisionsOfConfig, type Service } from './served.ts'

/** The whole SlimeBoot goes. `objects`: all that is known to be its own and there. */
export function goingWith(boot: KubeObject, objects: readonly KubeObject[], service: Service): Going {
  return goingOf(objects, service, service.serves, `SlimeBoot ${keyOf(boot)} is deleted`, 'delete')
}

/** Only `stale` goes, which its spec does not ask for any more; undefined where no fence depends on that. */
export function goingFrom(boot: KubeObject, stale: readonly KubeObject[], service: Service): Going | undefined {
  const relevant = stale.filter((object) => isCatchAll(object) || revisionsOfConfig(object) !== undefined)
  if (relevant.length === 0) return undefined
  const modules = relevant.map(revisionsOfConfig).filter((serves) => serves !== undefined)
  const served = ({ namespace, revision }: FencePlace): boolean => service.reaches(namespace) && modules.some((serves) => serves(revision))
  const subject = relevant.map(objectId).sort().join()
  const going = goingOf(stale, service, served, `SlimeBoot ${keyOf(boot)} does not serve it any more`, subject)
  return { ...going, leaves: (place, servedBy) => !service.serves(place) && going.leaves(place, servedBy) }
}

function goingOf(
  objects: readonly KubeObject[],
  service: Service,
  served: (place: FencePlace) => boolean,
  why: string,
  subject: string,
): Going {
  const catchAlls = objects.filter(isCatchAll)
  const scopes = new Set(catchAlls.map(catchAllScope))
  const modules = objects.filter((object) => object.kind === 'ConfigMap' && revisionsOfConfig(object) !== undefined)
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
