/** What is wrong with a module: where in its JSON, and what to write instead. The operator puts `spec.module[0].` before the place, the program its file. */

export interface ModuleProblem {
  /** `general.maxIdle`; empty: the module itself. */
  readonly place: string
  /** Follows the place: `must be a duration such as 30s, 5m or 24h, got "long"`. */
  readonly text: string
}

/** `place text`, as the program says it. */
export function sentenceOf({ place, text }: ModuleProblem): string {
  return place === '' ? text : `${place} ${text}`
}

/** A value as JSON for a message, cut at 60 characters. */
export function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing'
  return text.length > 60 ? `${text.slice(0, 60)}…` : text
}
