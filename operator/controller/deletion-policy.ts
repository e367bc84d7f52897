/** Annotation `deletion-policy: orphan`: a SlimeBoot that is deleted lets go of its objects instead of deleting them. */
import type { Client } from '../../runtime/client.ts'
import { hasCode } from '../../runtime/errors.ts'
import type { KubeObject } from '../../runtime/object.ts'
import { refOf } from '../../runtime/resource.ts'
import { typeOf } from '../api/kinds.ts'
import { DELETION_POLICY_ANNOTATION, FIELD_MANAGER } from '../api/slimeboot.ts'
import { failureOf } from '../apply/failure.ts'
import type { Live } from '../apply/live.ts'
import { marksOff } from '../apply/ownership.ts'
import type { Blocked } from '../apply/prune.ts'

export interface LetGoDependencies {
  readonly client: Pick<Client, 'jsonPatch'>
  readonly live: Pick<Live, 'forget'>
}

export function isOrphaning(boot: KubeObject): boolean {
  return boot.metadata.annotations?.[DELETION_POLICY_ANNOTATION] === 'orphan'
}

/** Takes our marks off: nothing looks like ours afterwards. Returns what was refused. */
export async function letGo(
  { client, live }: LetGoDependencies,
  boot: KubeObject,
  objects: readonly KubeObject[],
): Promise<readonly Blocked[]> {
  const refused: Blocked[] = []
  await Promise.all(objects.map(async (object) => await letGoOf(object)))
  return refused

  async function letGoOf(object: KubeObject): Promise<void> {
    const { ownerReferences = [] } = object.metadata
    const others = ownerReferences.filter(({ uid }) => uid !== boot.metadata.uid)
    // the earlier operator's reference would make the garbage collector delete it
    const referencesOff =
      others.length === ownerReferences.length ? [] : [{ op: 'add' as const, path: '/metadata/ownerReferences', value: others }]
    try {
      await client.jsonPatch(refOf(typeOf(object), object), [...marksOff(object), ...referencesOff], FIELD_MANAGER)
      live.forget(object)
    } catch (error) {
      if (!hasCode(error, 404)) refused.push({ object, error: failureOf(error, 'apply', object) })
    }
  }
}
