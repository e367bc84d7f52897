/** Parser of the Go-template subset: text, and actions with `.Values` fields, literals, parentheses, pipelines and function calls. */

/** The template uses something outside the subset, or cannot be run with these values. */
export class GoTemplateError extends Error {
  override readonly name = 'GoTemplateError'
}

export type Part = { readonly text: string } | { readonly pipeline: Pipeline }
/** `a | b | c`: each command gets the result of the one before as its last argument. */
export type Pipeline = readonly Command[]
export type Command = readonly Operand[]
export type Operand =
  | { readonly kind: 'field'; readonly path: readonly string[] }
  | { readonly kind: 'literal'; readonly value: string | number | boolean }
  | { readonly kind: 'function'; readonly name: string }
  | { readonly kind: 'pipeline'; readonly pipeline: Pipeline }

interface Token {
  readonly kind: 'field' | 'string' | 'number' | 'word' | 'symbol' | 'space'
  readonly text: string
}

const MAX_LENGTH = 4096
const MAX_DEPTH = 32
const MAX_SHOWN = 20

const TOKEN = new RegExp(
  [
    String.raw`(?<space>[ \t\r\n]+)`,
    String.raw`(?<field>(?:\.[\p{L}_][\p{L}\p{Nd}_]*)+)`,
    String.raw`(?<string>"(?:[^"\\\n]|\\.)*"|` + '`[^`]*`)',
    String.raw`(?<number>[+-]?\d[\p{L}\p{Nd}_.+-]*)`,
    String.raw`(?<word>[\p{L}_][\p{L}\p{Nd}_]*)`,
    String.raw`(?<symbol>[|()])`,
  ].join('|'),
  'uy',
)

/** Parts of a template in order. Throws GoTemplateError. */
export function parseGoTemplate(source: string): Part[] {
  if (source.length > MAX_LENGTH) throw new GoTemplateError(`it is longer than ${MAX_LENGTH} characters`)
  const parts: Part[] = []
  let position = 0
  let trimNext = false
  for (;;) {
    const open = source.indexOf('{{', position)
    const text = source.slice(position, open < 0 ? source.length : open)
    const trimLast = open >= 0 && /^-[ \t\r\n]/.test(source.slice(open + 2, open + 4))
    const trimmed = trim(text, trimNext, trimLast)
    if (trimmed !== '') parts.push({ text: trimmed })
    if (open < 0) return parts
    const action = readAction(source, open + (trimLast ? 3 : 2))
    parts.push({ pipeline: parsePipeline(action.tokens) })
    trimNext = action.trimNext
    position = action.end
  }
}

/** First names under `.Values` that the template reads: `foo` of `.Values.foo.bar`. Throws GoTemplateError. */
export function valuesKeysOf(source: string): string[] {
  const keys: string[] = []
  const visit = (pipeline: Pipeline): void => {
    for (const operand of pipeline.flat()) {
      if (operand.kind === 'pipeline') visit(operand.pipeline)
      else if (operand.kind === 'field' && operand.path[1] !== undefined) keys.push(operand.path[1])
    }
  }
  for (const part of parseGoTemplate(source)) if ('pipeline' in part) visit(part.pipeline)
  return keys
}

function trim(text: string, start: boolean, end: boolean): string {
  const left = start ? text.replace(/^[ \t\r\n]+/, '') : text
  return end ? left.replace(/[ \t\r\n]+$/, '') : left
}

function readAction(source: string, start: number): { tokens: Token[]; end: number; trimNext: boolean } {
  const tokens: Token[] = []
  for (let position = start; ;) {
    if (source.startsWith('}}', position)) return { tokens, end: position + 2, trimNext: false }
    if (source.startsWith('-}}', position) && tokens.at(-1)?.kind === 'space') return { tokens, end: position + 3, trimNext: true }
    const token = readToken(source, position)
    tokens.push(token)
    position += token.text.length
  }
}

function readToken(source: string, position: number): Token {
  if (position >= source.length) throw new GoTemplateError('"{{" has no matching "}}"')
  TOKEN.lastIndex = position
  const groups = TOKEN.exec(source)?.groups
  for (const [kind, text] of Object.entries(groups ?? {})) {
    if (text !== undefined) return { kind: kind as Token['kind'], text }
  }
  throw new GoTemplateError(`${quoted(source.slice(position))} is not supported here`)
}

function parsePipeline(tokens: readonly Token[]): Pipeline {
  let position = 0
  return pipeline(0)

  function pipeline(depth: number): Pipeline {
    if (depth > MAX_DEPTH) throw new GoTemplateError(`parentheses are nested deeper than ${MAX_DEPTH}`)
    const commands: Command[] = [command(depth)]
    while (tokens[position]?.text === '|' && tokens[position]?.kind === 'symbol') {
      position += 1
      commands.push(command(depth))
    }
    const rest = tokens[position]
    if (depth === 0 && rest !== undefined) throw new GoTemplateError(`${quoted(rest.text)} has no matching "("`)
    for (const [index, [first]] of commands.entries()) {
      if (index > 0 && first?.kind !== 'function') throw new GoTemplateError('only a function can stand after "|"')
    }
    return commands
  }

  function command(depth: number): Command {
    const operands: Operand[] = []
    let separated = true
    for (; ; position += 1) {
      const token = tokens[position]
      if (token === undefined || token.text === '|' || token.text === ')') break
      if (token.kind === 'space') {
        separated = true
        continue
      }
      if (!separated) throw new GoTemplateError(`${quoted(token.text)} must be separated by a space from what stands before it`)
      operands.push(operand(token, depth, operands.length === 0))
      separated = false
    }
    if (operands.length === 0) throw new GoTemplateError('a value is missing')
    if (operands.length > 1 && operands[0]?.kind !== 'function') throw new GoTemplateError('only a function can take arguments')
    return operands
  }

  function operand(token: Token, depth: number, first: boolean): Operand {
    if (token.kind === 'field') return field(token.text)
    if (token.kind === 'string') return { kind: 'literal', value: stringLiteral(token.text) }
    if (token.kind === 'number') return { kind: 'literal', value: numberLiteral(token.text) }
    if (token.kind === 'word') return word(token.text, first)
    position += 1
    const inner = pipeline(depth + 1)
    if (tokens[position]?.text !== ')') throw new GoTemplateError('"(" has no matching ")"')
    return { kind: 'pipeline', pipeline: inner }
  }
}

function field(text: string): Operand {
  const path = text.slice(1).split('.')
  if (path[0] !== 'Values') throw new GoTemplateError(`${quoted(text)} is not supported; only .Values can be read`)
  if (path.length === 1) throw new GoTemplateError('.Values is not a value; name a key, as in .Values.namespace')
  return { kind: 'field', path }
}

function word(text: string, first: boolean): Operand {
  if (text === 'true' || text === 'false') return { kind: 'literal', value: text === 'true' }
  if (!first) throw new GoTemplateError(`${quoted(text)} must be in parentheses, or in quotes if it is text`)
  return { kind: 'function', name: text }
}

function numberLiteral(text: string): number {
  if (!/^[+-]?(0|[1-9]\d{0,14})$/.test(text))
    throw new GoTemplateError(`the number ${quoted(text)} is not supported; write a decimal whole number`)
  return Number(text) + 0
}

/** Text of a Go string literal; of the escapes only the common ones, which are also JSON's. */
function stringLiteral(text: string): string {
  if (text.startsWith('`')) return text.slice(1, -1).replaceAll('\r', '')
  if (/\\[^"\\nrtbfu]/.test(text.replaceAll('\\\\', '')))
    throw new GoTemplateError(`the text ${quoted(text)} has an escape that is not supported`)
  if (/\\u(?![\da-fA-F]{4})/.test(text.replaceAll('\\\\', '')))
    throw new GoTemplateError(`the text ${quoted(text)} has an escape that is not complete`)
  const value = JSON.parse(text.replace(/\p{Cc}/gu, (char) => JSON.stringify(char).slice(1, -1))) as string
  if (!value.isWellFormed()) throw new GoTemplateError(`the text ${quoted(text)} is not valid Unicode`)
  return value
}

function quoted(text: string): string {
  return JSON.stringify(text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text)
}
