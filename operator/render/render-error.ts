/** A template, or what it gave, is wrong: terminal, a retry cannot help. */
export class RenderError extends Error {
  override readonly name = 'RenderError'
  /** Reason of the condition that reports it. */
  readonly reason = 'RenderFailed'
  /** Relative to the project: `templates/module/deployment.yaml.hbs`. */
  readonly template: string
  /** 1-based line of the template, where one is known. */
  readonly line: number | undefined

  /** `fault` says what is wrong and what to do, after the place: `line 41 …`. */
  constructor(template: string, line: number | undefined, fault: string, options?: ErrorOptions) {
    super(`${template}: ${line === undefined ? '' : `line ${line}: `}${fault}`, options)
    this.template = template
    this.line = line
  }
}
