/** Writes JSON values as YAML that can stand in one place of a line and cannot break out of it, read alike by YAML 1.1 and 1.2. */

/** Text that is already YAML; only our helpers make it, so no value of a SlimeBoot can be one. */
export class YamlText {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
  toString(): string {
    return this.text
  }
}

/** A value that no YAML place can hold: undefined, a function, NaN. */
export class UnwritableError extends Error {
  override readonly name = 'UnwritableError'
}

/** Strings that need no quotes: a word or a path. Everything else is quoted. */
const PLAIN = /^[A-Za-z/][A-Za-z0-9_./-]*$/
/** Words that YAML 1.1 (https://yaml.org/type/bool.html) or 1.2 reads as a boolean or null. */
const RESERVED = new Set(['y', 'n', 'yes', 'no', 'on', 'off', 'true', 'false', 'null'])
/** Legal in JSON text, but line breaks (NEL, LS, PS), unprintable or a byte order mark for YAML: https://yaml.org/spec/1.2.2/#51-character-set */
const UNSAFE = /[\u007f-\u00a0\u2028\u2029\ufeff\ufffe\uffff]/g
/** YAML readers may refuse a longer implicit key: https://yaml.org/spec/1.2.2/#742-flow-mappings */
const LONGEST_IMPLICIT_KEY = 1000

/** One scalar: a string (quoted when it must be), number, boolean or null. Throws UnwritableError for anything else. */
export function yamlScalar(value: unknown): string {
  if (typeof value === 'string') return PLAIN.test(value) && !RESERVED.has(value.toLowerCase()) ? value : quote(value)
  if (typeof value === 'number') return writeNumber(value)
  if (typeof value === 'boolean') return String(value)
  if (value === null) return 'null'
  throw new UnwritableError(`${describe(value)} is not one scalar`)
}

/** A scalar or structure on one line, in flow style; indentation cannot matter. Keys whose value is undefined are left out, as in JSON. */
export function yamlFlow(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((item) => yamlFlow(item ?? null)).join(', ')}]`
  if (typeof value === 'object' && value !== null && !(value instanceof YamlText)) {
    const pairs = Object.entries(value).filter(([, item]) => item !== undefined)
    return `{${pairs.map(([key, item]) => `${flowKey(key)}: ${yamlFlow(item)}`).join(', ')}}`
  }
  return typeof value === 'string' ? quote(value) : yamlScalar(value)
}

function flowKey(key: string): string {
  const quoted = quote(key)
  return quoted.length > LONGEST_IMPLICIT_KEY ? `? ${quoted} ` : quoted
}

/** JSON escapes are YAML escapes; JSON.stringify already escapes lone surrogates (well-formed JSON.stringify). */
function quote(text: string): string {
  return JSON.stringify(text).replace(UNSAFE, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** YAML 1.1 knows `1.0e+21` as a number, not `1e+21`. */
function writeNumber(value: number): string {
  if (!Number.isFinite(value)) throw new UnwritableError(`${value} is not a JSON number`)
  return JSON.stringify(value).replace(/^(-?\d+)e/, '$1.0e')
}

function describe(value: unknown): string {
  if (value === undefined) return 'a missing value'
  if (typeof value !== 'object') return `a ${typeof value}`
  return Array.isArray(value) ? 'a list' : 'a structure'
}
