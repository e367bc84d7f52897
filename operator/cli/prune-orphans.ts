/** `slimeboot prune-orphans`: lists what SlimeBoots that are gone left behind, and deletes it when told to. */
import { Command } from 'commander'
import type { Client } from '../../runtime/client.ts'
import { keyOf, objectId, type KubeObject } from '../../runtime/object.ts'
import { refOf } from '../../runtime/resource.ts'
import { SLIMEBOOT, typeOf } from '../api/kinds.ts'
import { failureOf, type ReconcileError } from '../apply/failure.ts'
import { appliedByUs, claimedOwner } from '../apply/ownership.ts'
import { isCatchAll } from '../apply/catch-all.ts'
import { kubeconfigOption, withClient } from './connect.ts'
import { letGoOfFences } from './let-go.ts'
import { listOwned } from './read-cluster.ts'

interface Orphan {
  readonly object: KubeObject
  readonly owner: string
}

interface Options {
  readonly kubeconfig?: string
  readonly yes?: boolean
}

export function pruneOrphansCommand(): Command {
  return new Command('prune-orphans')
    .description(
      'list objects whose SlimeBoot does not exist any more; with --yes delete them: Sidecars of their fences, catch-alls, the rest',
    )
    .addOption(kubeconfigOption())
    .option('--yes', 'delete them')
    .action(async ({ kubeconfig, yes }: Options) => {
      await withClient(kubeconfig, 'prune-orphans', (client) => pruneOrphans(client, yes === true))
    })
}

async function pruneOrphans(client: Client, remove: boolean): Promise<void> {
  const owned = await listOwned(client)
  const { orphans, doubtful } = await findOrphans(client, owned)
  for (const { object, owner } of doubtful)
    process.stdout.write(`${objectId(object)}  is marked as of SlimeBoot ${owner}, but the operator did not write it: left alone\n`)
  if (orphans.length === 0) return void process.stdout.write('No orphans: every object of ours has its SlimeBoot.\n')
  const failures: ReconcileError[] = []
  for (const { object, owner } of remove ? await letGo(client, owned, orphans) : orphans) {
    process.stdout.write(`${objectId(object)}  (of SlimeBoot ${owner})${remove ? ' …' : ''}\n`)
    if (!remove) continue
    try {
      await client.remove(refOf(typeOf(object), object), { uid: object.metadata.uid, resourceVersion: object.metadata.resourceVersion })
    } catch (error) {
      // one that cannot be deleted keeps no other
      failures.push(failureOf(error, 'delete', object))
    }
  }
  process.stdout.write(
    remove
      ? `${orphans.length - failures.length} orphans deleted.\n`
      : `${orphans.length} orphans. Delete them with "slimeboot prune-orphans --yes".\n`,
  )
  if (failures.length > 0) throw new Error(failures.map(({ message }) => message).join('\n'))
}

/** The fences go before the catch-all that serves their pods. Returns what is left, as it is then. */
async function letGo(client: Client, owned: readonly KubeObject[], orphans: readonly Orphan[]): Promise<readonly Orphan[]> {
  const show = (line: string): void => void process.stdout.write(`${line}\n`)
  const left: Orphan[] = []
  for (const [owner, group] of Map.groupBy(orphans, (orphan) => orphan.owner)) {
    const objects = group.map(({ object }) => object)
    for (const object of await letGoOfFences({ client, owned, show }, owner, objects)) left.push({ object, owner })
  }
  return left.sort(catchAllsFirst)
}

function catchAllsFirst(a: Orphan, b: Orphan): number {
  return Number(isCatchAll(b.object)) - Number(isCatchAll(a.object))
}

/** Objects whose valid ownership annotation names a SlimeBoot that does not exist; catch-alls first. Doubtful are those that were not applied under our name. */
async function findOrphans(
  client: Client,
  owned: readonly KubeObject[],
): Promise<{ readonly orphans: readonly Orphan[]; readonly doubtful: readonly Orphan[] }> {
  const boots = new Set((await client.list(SLIMEBOOT, { metadataOnly: true })).items.map(keyOf))
  const all = owned.flatMap((object): readonly Orphan[] => {
    const owner = claimedOwner(object)
    return owner === undefined || boots.has(owner) ? [] : [{ object, owner }]
  })
  return {
    orphans: all.filter(({ object }) => appliedByUs(object)).sort(catchAllsFirst),
    doubtful: all.filter(({ object }) => !appliedByUs(object)),
  }
}
