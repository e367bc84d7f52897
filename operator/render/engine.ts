/**
 * Handlebars set up for YAML: strict, only our helpers, no prototype access, and an escape function that writes YAML scalars.
 * A mustache therefore stands alone as a value and writes exactly one; `test/helpers/lint-template.ts` refuses any other use.
 */
import Handlebars from 'handlebars'
import { HELPER_NAMES, HelperError, registerHelpers } from './helpers.ts'
import { RenderError } from './render-error.ts'
import { UnwritableError, YamlText, yamlScalar } from './yaml-scalar.ts'

// Handlebars shares Utils among all environments and takes the function from there when a template is set up, so it is replaced once, here.
Object.assign(Handlebars.Utils, { escapeExpression: escapeAsYaml })

/** An absent value (null) has no place of its own: the template must leave out its key. */
function escapeAsYaml(value: unknown): string {
  if (value === null) throw new UnwritableError('an absent value is none: put its key into {{#some …}}')
  return value instanceof YamlText ? value.text : yamlScalar(value)
}

export interface Engine {
  /** Text of one template. Throws RenderError only, naming template and line. */
  render(template: string, context: object): string
}

const PARTIALS = 'partials/'
const EXTENSION = '.yaml.hbs'
const NO_PROTOTYPES = { allowProtoPropertiesByDefault: false, allowProtoMethodsByDefault: false }

/**
 * Compiles all templates (path relative to `templates/` -> text) at once, so that a bad one stops the start. Throws RenderError.
 * `partials/affinity.yaml.hbs` is the partial `affinity`.
 */
export function createEngine(templates: ReadonlyMap<string, string>): Engine {
  const environment = Handlebars.create()
  registerHelpers(environment)
  const compiled = new Map<string, Handlebars.TemplateDelegate>()
  for (const [path, text] of templates) {
    const template = compile(environment, path, text)
    compiled.set(path, template)
    if (path.startsWith(PARTIALS)) environment.registerPartial(path.slice(PARTIALS.length, -EXTENSION.length), template)
  }
  return {
    render(path, context) {
      const template = compiled.get(path)
      if (template === undefined) throw new RenderError(fileOf(path), undefined, 'there is no such template.')
      return template(context, NO_PROTOTYPES)
    },
  }
}

/** Where a template lies, relative to the project. */
export function fileOf(path: string): string {
  return `templates/${path}`
}

function compile(environment: typeof Handlebars, path: string, text: string): Handlebars.TemplateDelegate {
  const knownHelpers = Object.fromEntries(HELPER_NAMES.map((name) => [name, true]))
  const options = { strict: true, knownHelpers, knownHelpersOnly: true, explicitPartialContext: true, trackIds: true }
  try {
    const tree = environment.parse(text)
    const paths = pathsByLine(tree)
    environment.precompile(tree, options) // compile() alone waits for the first use
    return naming(path, paths, environment.compile(tree, options))
  } catch (error) {
    throw toRenderError(path, new Map(), error)
  }
}

type PathsByLine = ReadonlyMap<number, readonly string[]>

/** Value paths that a template reads, as written, by 1-based line. */
function pathsByLine(tree: hbs.AST.Program): PathsByLine {
  const paths = new Map<number, string[]>()
  const visitor = new Handlebars.Visitor()
  visitor.PathExpression = ({ original, loc }) => {
    paths.set(loc.start.line, [...(paths.get(loc.start.line) ?? []), original])
  }
  visitor.accept(tree)
  return paths
}

/** The same template, whose errors name it; a partial is named before the template that includes it. */
function naming(path: string, paths: PathsByLine, template: Handlebars.TemplateDelegate): Handlebars.TemplateDelegate {
  return (context: unknown, options?: Handlebars.RuntimeOptions) => {
    try {
      return template(context, options)
    } catch (error) {
      throw toRenderError(path, paths, error)
    }
  }
}

function toRenderError(path: string, paths: PathsByLine, error: unknown): RenderError {
  if (error instanceof RenderError) return error
  const file = fileOf(path)
  if (error instanceof HelperError) return new RenderError(file, error.line, `${error.message}.`, { cause: error })
  if (error instanceof UnwritableError)
    return new RenderError(file, undefined, `a mustache writes one scalar; ${error.message}.`, { cause: error })
  const { message = String(error), lineNumber } = error as { message?: string; lineNumber?: number }
  const missing = /^"(.+)" not defined in /.exec(message)?.[1]
  if (missing === undefined)
    return new RenderError(file, lineNumber ?? lineIn(message), message.replace(/ - \d+:\d+$/, ''), { cause: error })
  const value = paths.get(lineNumber ?? 0)?.find((original) => original.split(/[./]/).includes(missing)) ?? missing
  return new RenderError(file, lineNumber, `"${value}" is not defined.`, { cause: error })
}

/** The parser's own errors carry the line in their text only: `Parse error on line 3: …`. */
function lineIn(message: string): number | undefined {
  const line = /on line (\d+)/.exec(message)?.[1]
  return line === undefined ? undefined : Number(line)
}
