/** Which namespaces are fenced by label: `general.autoFence` and what belongs to it. */
import type { ConfigReader } from '../config-reader.ts'
import { type LabelSelector, readLabelSelector } from './label-selector.ts'

export interface AutoFenceConfig {
  readonly enabled: boolean
  /** For Services about which neither their label nor their namespace's says anything. */
  readonly defaultFence: boolean
  /** Empty: all namespaces but those of `excluded`. */
  readonly included: readonly string[]
  readonly excluded: readonly string[]
  /** Namespaces that one of them selects by its labels; undefined: all. */
  readonly selectors: readonly LabelSelector[] | undefined
  /** How long nothing must ask for a fence before it is removed, milliseconds. */
  readonly graceMs: number
}

/** A Service that is replaced, or a label that a tool sets anew, is away for a moment. */
const GRACE_MS = 10_000

/** On unless `autoFence` says no: the tutorial has no such switch. */
export function readAutoFence(general: ConfigReader): AutoFenceConfig {
  const selectors = general.objects('managementSelectors').map(readLabelSelector)
  return {
    enabled: general.flag(true, 'autoFence'),
    defaultFence: general.flag(false, 'defaultFence'),
    included: general.list('whiteNamespaceList'),
    excluded: general.list('blackNamespaceList'),
    selectors: selectors.length === 0 ? undefined : selectors,
    graceMs: general.duration(GRACE_MS, 'autoFenceGrace'),
  }
}
