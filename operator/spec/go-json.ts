/** JSON text as Go's encoding/json writes it: keys sorted by bytes, `<` `>` `&` and the two Unicode line breaks escaped (https://pkg.go.dev/encoding/json#Marshal). */

const HTML_SENSITIVE = /[<>&\u2028\u2029]/g

/** One line without a final newline. Keys whose value is undefined are left out. */
export function goJson(value: unknown): string {
  return write(value).replace(HTML_SENSITIVE, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

function write(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((item) => write(item ?? null)).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const pairs = Object.entries(value).filter(([, item]) => item !== undefined)
  pairs.sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  return `{${pairs.map(([key, item]) => `${JSON.stringify(key)}:${write(item)}`).join(',')}}`
}
