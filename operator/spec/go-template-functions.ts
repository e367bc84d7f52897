/** Functions of the Go-template subset, and how Go prints a value (https://pkg.go.dev/fmt, https://masterminds.github.io/sprig/). */
import { GoTemplateError } from './go-template-parse.ts'

/** Longest text that a template or a step of it may give. */
export const MAX_TEXT = 4096

/** Result of reading a key that is not set; only `default` takes it. */
export class Unset {
  readonly key: string

  constructor(key: string) {
    this.key = key
  }
}

type TemplateFunction = (args: readonly unknown[]) => unknown

const FUNCTIONS: ReadonlyMap<string, TemplateFunction> = new Map<string, TemplateFunction>([
  ['print', print],
  ['printf', printf],
  ['quote', (args) => args.map((arg) => goQuote(textOf(arg))).join(' ')],
  ['default', fallback],
  ['lower', (args) => eachRune(oneText('lower', args), (rune) => rune.toLowerCase())],
  ['upper', (args) => eachRune(oneText('upper', args), (rune) => rune.toUpperCase())],
  [
    'trim',
    (args) =>
      oneText('trim', args)
        .replace(/^\p{White_Space}+/u, '')
        .replace(/\p{White_Space}+$/u, ''),
  ],
  ['replace', replace],
])

/** Result of the function `name`. Throws GoTemplateError for an unknown function, wrong arguments, or a result over 4096 characters. */
export function callFunction(name: string, args: readonly unknown[]): unknown {
  const run = FUNCTIONS.get(name)
  if (run === undefined)
    throw new GoTemplateError(`the function ${JSON.stringify(name)} is not supported; there are ${[...FUNCTIONS.keys()].join(', ')}`)
  const result = run(args)
  if (typeof result === 'string' && result.length > MAX_TEXT) throw new GoTemplateError(`${name} gives more than ${MAX_TEXT} characters`)
  return result
}

/** A scalar as Go's `%v` prints it. Throws for a key that is not set and for lists and maps. */
export function textOf(value: unknown): string {
  if (typeof value === 'string') return value
  if (typeof value === 'boolean') return String(value)
  if (typeof value === 'number') return Number.isSafeInteger(value) ? String(value) : floatText(value)
  refuseUnset(value)
  throw new GoTemplateError('it prints a list or a map')
}

function refuseUnset(value: unknown): void {
  if (value instanceof Unset) throw new GoTemplateError(`${value.key} is not set`)
}

/** Go's `print`: a space between two operands when neither is text. */
function print(args: readonly unknown[]): string {
  let result = ''
  for (const [index, arg] of args.entries()) {
    const spaced = index > 0 && typeof arg !== 'string' && typeof args[index - 1] !== 'string'
    result += (spaced ? ' ' : '') + textOf(arg)
  }
  return result
}

function printf(args: readonly unknown[]): string {
  const [format, ...values] = args
  if (typeof format !== 'string') throw new GoTemplateError('printf needs a format as its first argument')
  let used = 0
  const result = format.replace(/%(.?)/gsu, (_, verb: string) => {
    if (verb === '%') return '%'
    if (used >= values.length) throw new GoTemplateError(`printf has too few values for ${JSON.stringify(format)}`)
    used += 1
    return formatVerb(verb, values[used - 1])
  })
  if (used < values.length) throw new GoTemplateError(`printf has too many values for ${JSON.stringify(format)}`)
  return result
}

function formatVerb(verb: string, value: unknown): string {
  if (verb === 'v') return textOf(value)
  if (verb === 's' && typeof value === 'string') return value
  if (verb === 'q' && typeof value === 'string') return goQuote(value)
  if (verb === 'd' && Number.isSafeInteger(value)) return String(value)
  if (!['s', 'q', 'd'].includes(verb)) throw new GoTemplateError(`printf knows %s %d %v %q %%, not ${JSON.stringify(`%${verb}`)}`)
  refuseUnset(value)
  throw new GoTemplateError(`%${verb} needs ${verb === 'd' ? 'a whole number' : 'text'}; %v takes any value`)
}

/** sprig's `default`: the first argument when the second is missing or empty ("", 0, false, an empty list or map). */
function fallback(args: readonly unknown[]): unknown {
  if (args.length < 1 || args.length > 2) throw new GoTemplateError('default needs two values')
  const [otherwise, given] = args
  const empty = given === undefined || given instanceof Unset || given === '' || given === 0 || given === false
  const hollow = typeof given === 'object' && given !== null && Object.keys(given).length === 0
  return empty || hollow ? otherwise : given
}

/** sprig's `replace OLD NEW TEXT`: all occurrences; an empty OLD matches between all characters. */
function replace(args: readonly unknown[]): string {
  const [old, next, text] = args
  args.forEach(refuseUnset)
  if (args.length !== 3 || typeof old !== 'string' || typeof next !== 'string' || typeof text !== 'string')
    throw new GoTemplateError('replace needs three texts')
  const pieces = old === '' ? ['', ...Array.from(text), ''] : text.split(old)
  if (text.length + pieces.length * next.length > 4 * MAX_TEXT) throw new GoTemplateError(`replace gives more than ${MAX_TEXT} characters`)
  return pieces.join(next)
}

function oneText(name: string, args: readonly unknown[]): string {
  const [text] = args
  refuseUnset(text)
  if (args.length !== 1 || typeof text !== 'string') throw new GoTemplateError(`${name} needs one text`)
  return text
}

/** Go maps letter by letter: what would become several characters (ß) stays as it is. */
function eachRune(text: string, map: (rune: string) => string): string {
  return Array.from(text, (rune) => {
    const mapped = map(rune)
    return Array.from(mapped).length === 1 ? mapped : rune
  }).join('')
}

/** strconv.Quote for text: control characters and unprintable ones escaped. */
function goQuote(text: string): string {
  const short: Readonly<Record<string, string>> = {
    '"': '\\"',
    '\\': '\\\\',
    '\u0007': '\\a',
    '\b': '\\b',
    '\f': '\\f',
    '\n': '\\n',
    '\r': '\\r',
    '\t': '\\t',
    '\v': '\\v',
  }
  const escaped = Array.from(text, (rune) => short[rune] ?? (isPrintable(rune) ? rune : escapeRune(rune)))
  return `"${escaped.join('')}"`
}

function isPrintable(rune: string): boolean {
  return rune === ' ' || /^[\p{L}\p{M}\p{N}\p{P}\p{S}]$/u.test(rune)
}

function escapeRune(rune: string): string {
  const code = rune.codePointAt(0) ?? 0
  if (code < 0x20 || code === 0x7f) return `\\x${code.toString(16).padStart(2, '0')}`
  return code < 0x10000 ? `\\u${code.toString(16).padStart(4, '0')}` : `\\U${code.toString(16).padStart(8, '0')}`
}

/** A float as Go's `%v`: shortest, with an exponent of at least two digits from 1e6 on and below 1e-4. */
function floatText(value: number): string {
  // Go holds whole numbers up to 2^63 exactly; JavaScript cannot.
  if (Number.isInteger(value)) throw new GoTemplateError(`the number ${value} is too large to print exactly; write it as text`)
  const [digits, power] = value.toExponential().split('e') as [string, string]
  const exponent = Number(power)
  if (exponent >= -4 && exponent < 6) return String(value)
  return `${digits}e${power[0]}${power.slice(1).padStart(2, '0')}`
}
