/** What is asked about the same few texts again and again is worked out once. */

const LIMIT = 10_000
/** Host names have at most 253 bytes, the names of Envoy's clusters a little more. */
const LONGEST = 400

/** `compute`, which must depend on its argument alone, with its results remembered: at most 10,000, and none of long texts. */
export function remember<Value extends {} | null>(compute: (text: string) => Value): (text: string) => Value {
  const known = new Map<string, Value>()
  return (text) => {
    const found = known.get(text)
    if (found !== undefined) return found
    const value = compute(text)
    if (text.length > LONGEST) return value
    if (known.size >= LIMIT) known.clear()
    known.set(text, value)
    return value
  }
}
