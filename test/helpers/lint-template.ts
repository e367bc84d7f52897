/** What a template may contain: everything by which a value could break out of its place, or YAML be read in two ways, is refused. */
import Handlebars from 'handlebars'

const HELPERS = new Set(['str', 'json', 'yaml', 'obj', 'list'])
const BLOCKS = new Set(['some', 'text', 'if', 'unless', 'each'])
/** Before a mustache, on its line: indentation, list dashes, at most one key. */
const VALUE_PLACE = /^\s*(- )*([A-Za-z0-9_./@-]+: )?$/
const BLANK = /^\s*$/
/** Plain scalars that YAML 1.1 and 1.2 read differently, or that surprise: booleans, null, octal, hexadecimal, sexagesimal, grouped digits, dates, bare floats. */
const AMBIGUOUS = [
  /^(y|n|yes|no|on|off|null)$/i,
  /^(True|TRUE|False|FALSE|~|=|<<)$/,
  /^[-+]?0[0-9_]+$/,
  /^[-+]?0[box]/i,
  /^[-+]?\d+(:[0-5]?\d)+$/,
  /^[-+]?\d+_[\d_]+$/,
  /^\d{4}-\d\d?-\d\d?/,
  /^[-+]?(\d+\.|\.\d+|\.inf|\.nan)$/i,
  /^[-+]?\d+(\.\d+)+$/,
  /^[-+]?[\d.]+e[-+]?\d+$/i,
]

/** Faults of one template, each with its line; empty when there are none. Throws where Handlebars cannot parse it. */
export function lintTemplate(text: string): string[] {
  const faults: string[] = []
  const lines = text.split('\n')
  const report = (loc: hbs.AST.SourceLocation, fault: string): void => void faults.push(`line ${loc.start.line}: ${fault}`)

  class Lint extends Handlebars.Visitor {
    override MustacheStatement(statement: hbs.AST.MustacheStatement): void {
      if (!statement.escaped) report(statement.loc, 'a triple mustache or {{& writes unescaped text')
      if (!VALUE_PLACE.test(before(statement)) || !BLANK.test(after(statement)))
        report(statement.loc, 'a mustache must stand alone as a value')
      super.MustacheStatement(this.checked(statement))
    }
    override SubExpression(expression: hbs.AST.SubExpression): void {
      super.SubExpression(this.checked(expression))
    }
    override BlockStatement(block: hbs.AST.BlockStatement): void {
      const name = nameOf(block.path)
      if (!BLOCKS.has(name)) report(block.loc, `unknown block "${name}"`)
      const place = name === 'text' ? VALUE_PLACE : BLANK
      if (!place.test(before(block)) || !BLANK.test(after(block))) report(block.loc, 'a block must stand on lines of its own')
      super.BlockStatement(block)
    }
    override PartialStatement(partial: hbs.AST.PartialStatement): void {
      if (!BLANK.test(before(partial)) || !BLANK.test(after(partial))) report(partial.loc, 'a partial must stand on a line of its own')
      super.PartialStatement(partial)
    }
    override PartialBlockStatement({ loc }: hbs.AST.PartialBlockStatement): void {
      report(loc, 'a partial block is not used here')
    }
    override Decorator({ loc }: hbs.AST.Decorator): void {
      report(loc, 'a decorator is not used here')
    }
    override DecoratorBlock({ loc }: hbs.AST.DecoratorBlock): void {
      report(loc, 'a decorator is not used here')
    }
    override ContentStatement({ original, loc }: hbs.AST.ContentStatement): void {
      // The declarations have StripFlags here, after a mistake of theirs; the parser gives the text.
      ;(original as unknown as string).split('\n').forEach((line, offset) => {
        for (const scalar of plainScalars(line)) {
          if (AMBIGUOUS.some((pattern) => pattern.test(scalar))) faults.push(`line ${loc.start.line + offset}: ${scalar} must be quoted`)
        }
      })
    }
    private checked<Call extends hbs.AST.MustacheStatement | hbs.AST.SubExpression>(call: Call): Call {
      const name = nameOf(call.path)
      const isCall = call.type === 'SubExpression' || call.params.length > 0 || call.hash !== undefined
      if (isCall && !HELPERS.has(name)) report(call.loc, `unknown helper "${name}"`)
      return call
    }
  }

  function before({ loc }: hbs.AST.Node): string {
    return lines[loc.start.line - 1]?.slice(0, loc.start.column) ?? ''
  }
  function after({ loc }: hbs.AST.Node): string {
    return lines[loc.end.line - 1]?.slice(loc.end.column) ?? ''
  }

  new Lint().accept(Handlebars.parse(text))
  return faults
}

function nameOf(path: hbs.AST.PathExpression | hbs.AST.Literal): string {
  return (path as hbs.AST.PathExpression).original
}

/** Words of a line that YAML would take as plain scalars or keys. */
function plainScalars(line: string): string[] {
  return line
    .replace(/(^|\s)#.*$/, '')
    .replace(/"[^"]*"|'[^']*'/g, ' ')
    .split(/[\s,[\]{}]+/)
    .map((word) => word.replace(/:$/, ''))
}
