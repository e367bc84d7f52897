/** `slimeboot prune-orphans`: lists what SlimeBoots that are gone left behind, and deletes it when told to. */
import { Command } from 'commander'
import { type Client, createClient } from '../../runtime/client.ts'
import { ApiError } from '../../runtime/errors.ts'
import { loadKubeConfig } from '../../runtime/kubeconfig.ts'
import { keyOf, objectId, type KubeObject } from '../../runtime/object.ts'
import { refOf } from '../../runtime/resource.ts'
import { createTransport } from '../../runtime/transport.ts'
import { MANAGED_TYPES, SLIMEBOOT, typeOf } from '../api/kinds.ts'
import { OWNER_LABEL } from '../api/slimeboot.ts'
import { failureOf } from '../apply/failure.ts'
import { claimedOwner } from '../apply/ownership.ts'
import { isCatchAll } from '../apply/prune.ts'
import { VERSION } from '../version.ts'

interface Options {
  readonly kubeconfig?: string
  readonly yes?: boolean
}

export function pruneOrphansCommand(): Command {
  return new Command('prune-orphans')
    .description('list objects whose SlimeBoot does not exist any more; with --yes delete them, catch-alls first')
    .option('--kubeconfig <path>', 'kubeconfig file (else KUBECONFIG, else ~/.kube/config)', process.env['KUBECONFIG'])
    .option('--yes', 'delete them')
    .action(async (options: Options) => {
      const transport = createTransport({ loadConfig: () => loadKubeConfig(options.kubeconfig), userAgent: `slimeboot/${VERSION} prune-orphans` })
      try {
        await pruneOrphans(createClient(transport), options.yes === true)
      } finally {
        transport.close()
      }
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
  process.stdout.write(remove ? `${orphans.length} orphans deleted.\n` : `${orphans.length} orphans. Delete them with "slimeboot prune-orphans --yes".\n`)
}

/** Objects whose valid ownership annotation names a SlimeBoot that does not exist; catch-alls first. */
async function findOrphans(client: Client): Promise<readonly { readonly object: KubeObject; readonly owner: string }[]> {
  const boots = new Set((await client.list(SLIMEBOOT, { metadataOnly: true })).items.map(keyOf))
  const lists = await Promise.all(
    MANAGED_TYPES.map(async (type) => {
      try {
        return (await client.list(type, { labelSelector: OWNER_LABEL })).items
      } catch (error) {
        if (error instanceof ApiError && error.unknownKind) return []
        throw error
      }
    }),
  )
  return lists
    .flat()
    .flatMap((object) => {
      const owner = claimedOwner(object)
      return owner === undefined || boots.has(owner) ? [] : [{ object, owner }]
    })
    .sort((a, b) => Number(isCatchAll(b.object)) - Number(isCatchAll(a.object)))
}
