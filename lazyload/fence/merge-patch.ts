/** JSON merge patches (RFC 7386) from one value to another. */

type JsonMap = Readonly<Record<string, unknown>>

/** The patch that makes `to` of `from`, as small as it can be; undefined when they are equal. Members that are undefined count as absent. */
export function mergePatch(from: JsonMap, to: JsonMap): JsonMap | undefined {
  const patch: Record<string, unknown> = {}
  for (const key of new Set([...Object.keys(from), ...Object.keys(to)])) {
    const [before, after] = [from[key], to[key]]
    if (after === undefined || after === null) {
      if (before !== undefined && before !== null) patch[key] = null
    } else if (isMap(before) && isMap(after)) {
      const inner = mergePatch(before, after)
      if (inner !== undefined) patch[key] = inner
    } else if (!isEqual(before, after)) patch[key] = after
  }
  return Object.keys(patch).length === 0 ? undefined : patch
}

function isMap(value: unknown): value is JsonMap {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isEqual(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((item, index) => isEqual(item, b[index]))
  return isMap(a) && isMap(b) && mergePatch(a, b) === undefined
}
