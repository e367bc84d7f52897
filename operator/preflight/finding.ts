/** One line of a preflight table. */
export interface Finding {
  /** What was looked at: `Namespaces`, `Rights`, … */
  readonly check: string
  readonly level: 'ok' | 'warning' | 'error'
  readonly detail: string
}
