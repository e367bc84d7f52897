/** `slimeboot prune-orphans`: lists what SlimeBoots that are gone left behind, and deletes it when told to. */
import { Command } from 'commander'
import type { Client } from '../../runtime/client.ts'
import { keyOf, objectId, type KubeObject } from '../../runtime/object.ts'
import { refOf } from '../../runtime/resource.ts'
import { SLIMEBOOT, typeOf } from '../api/kinds.ts'
import { failureOf } from '../apply/failure.ts'
import { claimedOwner } from '../apply/ownership.ts'
import { isCatchAll } from '../apply/catch-all.ts'
import { kubeconfigOption, withClient } from './connect.ts'
import { listOwned } from './read-cluster.ts'

interface Options {
  readonly kubeconfig?: string
  readonly yes?: boolean
}

export function pruneOrphansCommand(): Command {
  return new Command('prune-orphans')
    .description('list objects whose SlimeBoot does not exist any more; with --yes delete them, catch-alls first')
    .addOption(kubeconfigOption())
    .option('--yes', 'delete them')
    .action(async ({ kubeconfig, yes }: Options) => {
      await withClient(kubeconfig, 'prune-orphans', (client) => pruneOrphans(client, yes === true))
    })
}

async function pruneOrphans(client: Client, remove: boolean): Promise<void> {
  const orphans = await findOrphans(client)
  if (orphans.length === 0) return void process.stdout.write('No orphans: every object of ours has its SlimeBoot.\n')
  for (const { object, owner } of orphans) {
    process.stdout.write(`${objectId(object)}  (of SlimeBoot ${owner})${remove ? ' …' : ''}\n`)
    if (!remove) continue
    try {
      await client.remove(refOf(typeOf(object), object), { uid: object.metadata.uid, resourceVersion: object.metadata.resourceVersion })
    } catch (error) {
      throw failureOf(error, 'delete', object)
    }
  }
  process.stdout.write(
    remove ? `${orphans.length} orphans deleted.\n` : `${orphans.length} orphans. Delete them with "slimeboot prune-orphans --yes".\n`,
  )
}

/** Objects whose valid ownership annotation names a SlimeBoot that does not exist; catch-alls first. */
async function findOrphans(client: Client): Promise<readonly { readonly object: KubeObject; readonly owner: string }[]> {
  const boots = new Set((await client.list(SLIMEBOOT, { metadataOnly: true })).items.map(keyOf))
  return (await listOwned(client))
    .flatMap((object) => {
      const owner = claimedOwner(object)
      return owner === undefined || boots.has(owner) ? [] : [{ object, owner }]
    })
    .sort((a, b) => Number(isCatchAll(b.object)) - Number(isCatchAll(a.object)))
}
