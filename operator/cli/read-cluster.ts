/** What the commands read of a cluster: they have no cache, so everything is listed anew. Errors are the API server's. */
import type { Client } from '../../runtime/client.ts'
import { ApiError } from '../../runtime/errors.ts'
import { identityOf, isJsonObject, type KubeObject } from '../../runtime/object.ts'
import { refOf } from '../../runtime/resource.ts'
import { CONFIG_MAP, MANAGED_TYPES, SLIMEBOOT } from '../api/kinds.ts'
import { ADOPT_ANNOTATION, OWNER_LABEL } from '../api/slimeboot.ts'
import { oldestFirst } from '../apply/claims.ts'
import { readHelmRelease } from '../apply/helm/release.ts'
import { ownerOf } from '../apply/ownership.ts'
import { type Plan, planChanges } from '../apply/plan.ts'
import { readObjects } from '../apply/read.ts'
import type { Compiled } from '../controller/compile.ts'
import { rememberedPorts } from '../controller/found-ports.ts'
import type { ClusterFacts } from '../spec/cluster-facts.ts'
import { enabledModules, findsPorts } from '../spec/modules.ts'

/** Every SlimeBoot, the oldest first: of two that want the same it is the one to get it. */
export async function listBoots(client: Client): Promise<readonly KubeObject[]> {
  try {
    return (await client.list(SLIMEBOOT)).items.toSorted(oldestFirst)
  } catch (error) {
    if (error instanceof ApiError && error.unknownKind) return []
    throw error
  }
}

/** Every object with our label, or with one SlimeBoot's (`Owner.label`); kinds that the server does not know have none. */
export async function listOwned(client: Client, label?: string): Promise<readonly KubeObject[]> {
  const labelSelector = label === undefined ? OWNER_LABEL : `${OWNER_LABEL}=${label}`
  const lists = await Promise.all(
    MANAGED_TYPES.map(async (type) => {
      try {
        return (await client.list(type, { labelSelector })).items
      } catch (error) {
        if (error instanceof ApiError && error.unknownKind) return []
        throw error
      }
    }),
  )
  return lists.flat()
}

/** With the ports that the operator has found for this SlimeBoot, where it has. */
export async function withFoundPorts(client: Client, facts: ClusterFacts, boot: KubeObject): Promise<ClusterFacts> {
  const { spec } = boot
  if (!isJsonObject(spec) || !enabledModules(spec).some(({ module }) => findsPorts(module))) return facts
  const { label } = ownerOf(boot)
  const { items } = await client.list(CONFIG_MAP, { labelSelector: `${OWNER_LABEL}=${label}` })
  const foundPorts = rememberedPorts(boot, items)
  return foundPorts === undefined ? facts : { ...facts, foundPorts }
}

/** The plan that the operator would make now. */
export async function readPlan(
  client: Client,
  boot: KubeObject,
  { desired, owner, claim, reach }: Pick<Compiled, 'desired' | 'owner' | 'claim' | 'reach'>,
): Promise<Plan> {
  const owned = await listOwned(client, owner.label)
  const known = new Map(owned.map((object) => [identityOf(object), object]))
  const read = await readObjects(
    client,
    desired.map(({ object }) => object).filter((object) => !known.has(identityOf(object))),
  )
  const served = await client.get(refOf(SLIMEBOOT, boot)).catch(() => undefined)
  return planChanges({
    owner,
    release: served === undefined ? [] : await readHelmRelease(client, served, owner),
    spec: boot['spec'],
    desired,
    wanted: claim.objects,
    live: (object) => known.get(identityOf(object)) ?? read.get(identityOf(object)),
    labelled: owned,
    reach,
    adopt: boot.metadata.annotations?.[ADOPT_ANNOTATION] === 'true',
    settled: (_desired, _live, found) => found,
  })
}
