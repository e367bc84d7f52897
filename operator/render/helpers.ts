/**
 * Helpers that templates may use; any other name stops the start.
 *
 * | in a template | writes |
 * |---|---|
 * | `{{value}}` | one YAML scalar, quoted when it must be (the escape function of engine.ts) |
 * | `{{str "a" b 1}}` | the parts joined into one string scalar, also when they look like a number |
 * | `{{json x}}`, `{{json x newline=true}}` | JSON text (keys sorted, as Go writes it) as one string scalar |
 * | `{{yaml x}}` | a structure on one line, in flow style |
 * | `{{#text}}…{{/text}}` | the YAML between, rendered and without its indentation, as one string scalar |
 * | `(obj a=1 b=2)`, `(list 1 2)` | a structure for `json` and `yaml` |
 * | `{{#some x}}…{{else}}…{{/some}}` | the block when x is not null, false, "", an empty list or an empty structure |
 * | `{{#if x}}`, `{{#unless x}}`, `{{#each x}}` | as Handlebars has them |
 *
 * A parameter that is not defined is an error in every one of them: an absent value is null, never undefined.
 */
import type Handlebars from 'handlebars'
import { load, YAMLException } from 'js-yaml'
import { goJson } from '../spec/go-json.ts'
import { YamlText, yamlFlow, yamlScalar } from './yaml-scalar.ts'

/** A helper refused its parameters; `line` is the template's. The engine adds the template's name. */
export class HelperError extends Error {
  override readonly name = 'HelperError'
  readonly line: number | undefined
  constructor(line: number | undefined, message: string) {
    super(message)
    this.line = line
  }
}

/** What Handlebars passes last; `loc` and (with `trackIds`) `ids` are not in its type declarations. */
interface Options extends Handlebars.HelperOptions {
  readonly name: string
  readonly loc?: { readonly start: { readonly line: number } }
  readonly ids?: readonly unknown[]
  readonly hashIds?: Readonly<Record<string, unknown>>
}

type Helper = (this: unknown, parameters: readonly unknown[], options: Options) => unknown

const helpers: Readonly<Record<string, Helper>> = {
  str: (parts, options) => parts.map((part) => asText(part, options)).join(''),
  json: ([value], { hash }) => goJson(value) + (hash['newline'] === true ? '\n' : ''),
  yaml: ([value]) => new YamlText(yamlFlow(value)),
  obj: (_, { hash }) => ({ ...hash }),
  list: (items) => [...items],
  some(this: unknown, [value], options) {
    return isSomething(value) ? options.fn(this) : options.inverse(this)
  },
  text(this: unknown, _, options) {
    const text = dedent(options.fn(this))
    mustBeYaml(text, options)
    // The line of {{/text}} takes its newline with it, so this one ends the value.
    return `${yamlScalar(text)}\n`
  },
}

const BUILT_IN = ['if', 'unless', 'each'] as const
/** Names for the compiler's `knownHelpers`. */
export const HELPER_NAMES: readonly string[] = [...Object.keys(helpers), ...BUILT_IN]

/** Registers the helpers on a Handlebars environment of its own (`Handlebars.create()`). */
export function registerHelpers(environment: typeof Handlebars): void {
  for (const [name, helper] of Object.entries(helpers)) {
    environment.registerHelper(name, function (this: unknown, ...parameters: unknown[]) {
      const options = takeOptions(parameters)
      return helper.call(this, parameters, options)
    })
  }
  for (const name of BUILT_IN) {
    const original = environment.helpers[name] as (...parameters: unknown[]) => unknown
    environment.registerHelper(name, function (this: unknown, ...parameters: unknown[]) {
      const options = takeOptions(parameters)
      return original.call(this, ...parameters, options)
    })
  }
}

/** Removes the options from the end of the parameters and checks that every parameter is defined. */
function takeOptions(parameters: unknown[]): Options {
  const options = parameters.pop() as Options
  parameters.forEach((value, index) => mustBeDefined(value, options.ids?.[index], options))
  for (const [key, value] of Object.entries(options.hash)) mustBeDefined(value, options.hashIds?.[key], options)
  return options
}

function mustBeDefined(value: unknown, path: unknown, { name, loc }: Options): void {
  if (value !== undefined) return
  throw new HelperError(loc?.start.line, `${typeof path === 'string' ? `"${path}"` : 'a parameter'} of "${name}" is not defined`)
}

function asText(part: unknown, { loc }: Options): string {
  if (typeof part === 'string') return part
  if (typeof part === 'number' && Number.isFinite(part)) return String(part)
  throw new HelperError(loc?.start.line, '"str" joins strings and numbers only')
}

function isSomething(value: unknown): boolean {
  if (value === null || value === false || value === '') return false
  return typeof value !== 'object' || Object.keys(value).length > 0
}

/** Without the indentation common to all lines, without the lines' final newline. */
function dedent(text: string): string {
  const lines = text.replace(/^\n/, '').trimEnd().split('\n')
  const indents = lines.filter((line) => line.trim() !== '').map((line) => line.length - line.trimStart().length)
  const common = indents.length === 0 ? 0 : Math.min(...indents)
  return lines.map((line) => line.slice(common)).join('\n')
}

function mustBeYaml(text: string, { loc }: Options): void {
  try {
    load(text)
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error
    throw new HelperError(loc?.start.line, `the text of this block is not YAML: ${error.reason}`)
  }
}
