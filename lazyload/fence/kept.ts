/** What a fence tells about the hosts that its Sidecar keeps: `status.kept` and condition `Kept`. Pure. */
import { keepsMost, type KeptHosts } from '../keep/kept-hosts.ts'
import type { KeepScope } from '../../module/settings.ts'
import { KEEP_REASONS, type KeepReason } from '../keep/reasons.ts'
import type { FenceCondition } from './fence.ts'
import type { FenceReason } from './reasons.ts'

/** `status.kept`. */
export interface KeptStatus {
  readonly total: number
  /** How many, by reason. */
  readonly reasons: Readonly<Partial<Record<KeepReason, number>>>
  /** The first hundred. */
  readonly hosts: readonly { readonly host: string; readonly reason: KeepReason }[]
}

/** What one fence keeps, and what is not known about it. */
export interface FenceKeep {
  readonly scope: KeepScope
  readonly kept: KeptHosts
  /** Why it is not known what the mesh configuration names; undefined: it is known. */
  readonly unseen: string | undefined
}

export const KEPT_HOSTS = 100

/** Undefined where nothing is kept. */
export function keptStatus({ hosts }: KeptHosts): KeptStatus | undefined {
  if (hosts.length === 0) return undefined
  // the first ones are those that are kept from here while the mesh configuration cannot be read
  const shown = [...hosts.filter(isOfMesh), ...hosts.filter((host) => !isOfMesh(host))].slice(0, KEPT_HOSTS)
  return { total: hosts.length, reasons: countsOf(hosts), hosts: shown.map(({ host, reason }) => ({ host, reason })) }
}

const isOfMesh = ({ reason }: { readonly reason: KeepReason }): boolean => reason === 'Provider'

function countsOf(hosts: KeptHosts['hosts']): KeptStatus['reasons'] {
  const all = (Object.keys(KEEP_REASONS) as KeepReason[]).map(
    (reason) => [reason, hosts.filter((host) => host.reason === reason).length] as const,
  )
  return Object.fromEntries(all.filter(([, count]) => count > 0))
}

export function keptCondition({ scope, kept, unseen }: FenceKeep): FenceCondition {
  const condition = (status: FenceCondition['status'], reason: FenceReason, message: string): FenceCondition => ({
    type: 'Kept',
    status,
    reason,
    message,
  })
  if (scope === 'none')
    return condition(
      'False',
      'KeepsNothing',
      'spec.keep (or general.keep of the module) is none: calls that no catch-all can serve may fail.',
    )
  const counts = Object.entries(countsOf(kept.hosts)).map(([reason, count]) => `${count} ${reason}`)
  const said =
    counts.length === 0
      ? 'Nothing needs to be kept.'
      : `${kept.hosts.length} hosts stay in the Sidecar though they were not learned: ${counts.join(', ')}.`
  if (unseen !== undefined) return condition('Unknown', 'MeshConfigUnseen', `${unseen} ${said}`)
  if (keepsMost(kept)) return condition('True', 'KeepsMost', `${said} That is more than half of the mesh: this fence saves little.`)
  return condition('True', 'Kept', said)
}
