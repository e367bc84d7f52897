/**
 * The subset of Go templates that a dispatch's cluster may use, with Go's and sprig's results: `.Values.a.b`, pipelines, parentheses, and
 * print, printf (%s %d %v %q %%), quote, default, lower, upper, trim, replace. Where Go would print `<nil>` or `%!d(…)` this is an error,
 * and so is everything else: widening the subset later changes no cluster. (https://pkg.go.dev/text/template, https://masterminds.github.io/sprig/)
 */
import { isJsonObject } from '../../runtime/object.ts'
import { type Command, GoTemplateError, type Operand, parseGoTemplate, type Pipeline } from './go-template-parse.ts'
import { callFunction, MAX_TEXT, textOf, Unset } from './go-template-functions.ts'

export { GoTemplateError, valuesKeysOf } from './go-template-parse.ts'

/** The text that the template gives with `values` as `.Values`. Throws GoTemplateError, with a message that stands after "cannot be run: ". */
export function runGoTemplate(source: string, values: unknown): string {
  let result = ''
  for (const part of parseGoTemplate(source)) {
    result += 'text' in part ? part.text : textOf(evaluate(part.pipeline, values))
    if (result.length > MAX_TEXT) throw new GoTemplateError(`its result is longer than ${MAX_TEXT} characters`)
  }
  return result
}

/** Value of a pipeline: JSON, or Unset. */
function evaluate(pipeline: Pipeline, values: unknown): unknown {
  let result: unknown
  for (const [index, command] of pipeline.entries()) {
    result = run(command, values, index > 0 ? [result] : [])
  }
  return result
}

function run(command: Command, values: unknown, piped: readonly unknown[]): unknown {
  const [first, ...rest] = command as [Operand, ...Operand[]]
  if (first.kind !== 'function') return valueOf(first, values)
  return callFunction(first.name, [...rest.map((operand) => valueOf(operand, values)), ...piped])
}

function valueOf(operand: Operand, values: unknown): unknown {
  switch (operand.kind) {
    case 'literal':
      return operand.value
    case 'field':
      return fieldOf(operand.path, values)
    case 'pipeline':
      return evaluate(operand.pipeline, values)
    case 'function':
      return callFunction(operand.name, [])
  }
}

/** A missing or null last key is Unset, for `default`; a missing key before it is an error, as in Go. Own keys only. */
function fieldOf(path: readonly string[], values: unknown): unknown {
  let found = values
  for (const [index, key] of path.entries()) {
    if (index === 0) continue // `Values` itself
    if (!isJsonObject(found)) {
      const parent = `.${path.slice(0, index).join('.')}`
      throw new GoTemplateError(`${parent} is ${found === undefined ? 'not set' : 'not a map'}, so it has no key ${JSON.stringify(key)}`)
    }
    found = Object.hasOwn(found, key) ? (found[key] ?? undefined) : undefined
  }
  return found ?? new Unset(`.${path.join('.')}`)
}
