/** What the operator does before it takes a catch-all away, for a SlimeBoot that is gone: its fences are let go of, and the progress is shown. */
import type { Client } from '../../runtime/client.ts'
import { identityOf, type KubeObject } from '../../runtime/object.ts'
import { sleep } from '../../runtime/sleep.ts'
import { SLIMEBOOT } from '../api/kinds.ts'
import { reachOf } from '../apply/standing.ts'
import { createFactReader } from '../controller/facts.ts'
import { goingWith } from '../controller/fences/going.ts'
import { createLettingGo } from '../controller/fences/letting-go.ts'

export interface LetGoOptions {
  readonly client: Client
  /** Everything of any SlimeBoot, as it was listed. */
  readonly owned: readonly KubeObject[]
  readonly show: (line: string) => void
}

/** `owner`: `namespace/name` of the SlimeBoot; `objects`: what it left. Returns what is left of them now. Throws ReconcileError. */
export async function letGoOfFences(
  { client, owned, show }: LetGoOptions,
  owner: string,
  objects: readonly KubeObject[],
): Promise<readonly KubeObject[]> {
  const known = new Map(owned.map((object) => [identityOf(object), object]))
  const [namespace = '', name = ''] = owner.split('/')
  const spec = { namespace: homeOf(objects) }
  const boot: KubeObject = { apiVersion: SLIMEBOOT.apiVersion, kind: SLIMEBOOT.kind, metadata: { namespace, name }, spec }
  const { rootNamespace } = await createFactReader(client).read(boot)
  const lettingGo = createLettingGo({
    client,
    live: {
      get: (object) => known.get(identityOf(object)),
      record: (object) => void known.set(identityOf(object), object),
      forget: (object) => void known.delete(identityOf(object)),
    },
    log: { info: () => {}, warn: show } as never,
    events: { record: () => {} },
  })
  const going = goingWith(boot, objects, lettingGo.serviceOf(boot), reachOf(boot, [], rootNamespace).roots)
  let said = ''
  for (;;) {
    const { blocked, waitMs, waitingFor = '' } = await lettingGo.step(boot, going)
    const [error] = blocked
    if (error !== undefined) throw error
    if (waitMs === undefined) break
    if (waitingFor !== said) show(`waiting for ${waitingFor}`)
    said = waitingFor
    await sleep(waitMs)
  }
  return objects.flatMap((object) => known.get(identityOf(object)) ?? [])
}

/** Namespace of its modules: where the ServiceAccount is that its cluster-wide binding names, which nobody in one namespace can write. */
function homeOf(objects: readonly KubeObject[]): string | undefined {
  const binding = objects.find(({ kind }) => kind === 'ClusterRoleBinding')
  return (binding?.['subjects'] as readonly { readonly namespace?: string }[] | undefined)?.[0]?.namespace
}
