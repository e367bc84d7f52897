/** Problems and warnings of a spec: what they hold, and how values and paths are shown in their messages. */
import { shown } from '../../module/problem.ts'
import type { ConditionReason, WarningReason } from '../api/reasons.ts'

/** An error of the spec. Nothing is applied while there is one. */
export interface Problem {
  /** `spec.module[0].fence.wormholePort[1]` */
  readonly path: string
  /** A sentence that starts with the path, says what is wrong and what to write instead. */
  readonly message: string
  /** Condition reason where it is not `InvalidSpec`. */
  readonly reason?: ConditionReason
}

/** Something that works but deserves attention. */
export interface Warning {
  readonly reason: WarningReason
  readonly path: string
  readonly message: string
}

/** A problem whose message is `<path> <text>`. */
export function problem(path: string, text: string, reason?: ConditionReason): Problem {
  return { path, message: `${path} ${text}`, ...(reason === undefined ? {} : { reason }) }
}

/** A warning whose message is `<path> <text>`. */
export function warning(reason: WarningReason, path: string, text: string): Warning {
  return { reason, path, message: `${path} ${text}` }
}

/** A value as JSON for a message, cut at 60 characters. `undefined` is `nothing`. */
export function show(value: unknown): string {
  return shown(value)
}

/** Appends a key or an index to a path: `.name`, `[0]`, or `["a.b"]` for a key that is not a plain word. */
export function child(path: string, key: string | number): string {
  if (typeof key === 'number') return `${path}[${key}]`
  return /^[A-Za-z_][\w-]*$/.test(key) ? `${path}.${key}` : `${path}[${show(key)}]`
}
