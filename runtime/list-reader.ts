/**
 * Reads a Kubernetes list item by item while it comes: the whole is never in memory as text, and no turn of the event loop lasts longer
 * than one object takes, be there hundreds of the largest in one answer.
 */
import { createTurns } from './turns.ts'

export interface ListBody<Item> {
  readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string }
  readonly items: readonly Item[]
}

const [QUOTE, BACKSLASH, COMMA] = [0x22, 0x5c, 0x2c]
const [OPEN_MAP, CLOSE_MAP, OPEN_LIST, CLOSE_LIST] = [0x7b, 0x7d, 0x5b, 0x5d]
/** Depth of what stands directly in `items` of the list. */
const IN_ITEMS = 2

/** `body` as JSON, with `map` of each of its `items`; those of which it returns undefined are left out. Throws an Error for what is no JSON. */
export async function readList<Item>(
  body: AsyncIterable<Buffer> | Iterable<Buffer>,
  map: (item: unknown) => Item | undefined,
): Promise<ListBody<Item>> {
  const turns = createTurns()
  const items: Item[] = []
  /** All but the items. */
  const rest: Buffer[] = []
  /** Of the item that is not complete yet. */
  const pieces: Buffer[] = []
  let depth = 0
  let inText = false
  let escaped = false
  let inItems = false
  let inItem = false
  /** The text at depth 1 that was read last: before a `[` it is the name of what follows. */
  let name = ''
  let nameFrom = -1

  function take(json: string): void {
    const item = map(JSON.parse(json) as unknown)
    if (item !== undefined) items.push(item)
  }

  for await (const chunk of body) {
    if (turns.isOver()) await turns.next()
    let from = 0
    // a name that began in the chunk before is cut off: it is taken from its pieces
    let carried = nameFrom >= 0 ? name : ''
    if (nameFrom >= 0) nameFrom = 0
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at]
      if (inText) {
        if (escaped) escaped = false
        else if (byte === BACKSLASH) escaped = true
        else if (byte === QUOTE) {
          inText = false
          if (nameFrom >= 0) name = carried + chunk.toString('latin1', nameFrom, at)
          nameFrom = -1
        }
        continue
      }
      if (byte === QUOTE) {
        inText = true
        if (depth === 1) {
          nameFrom = at + 1
          carried = ''
        }
      } else if (byte === OPEN_MAP || byte === OPEN_LIST) {
        if (depth === 1 && byte === OPEN_LIST && name === 'items') {
          inItems = true
          rest.push(chunk.subarray(from, at + 1))
          from = at + 1
        } else if (inItems && depth === IN_ITEMS) {
          inItem = true
          from = at
        }
        depth++
      } else if (byte === CLOSE_MAP || byte === CLOSE_LIST) {
        depth--
        if (inItems && depth === IN_ITEMS) {
          inItem = false
          pieces.push(chunk.subarray(from, at + 1))
          from = at + 1
          take(Buffer.concat(pieces.splice(0)).toString('utf8'))
          if (turns.isOver()) await turns.next()
        } else if (inItems && depth < IN_ITEMS) {
          inItems = false
          from = at
        }
      } else if (inItems && depth === IN_ITEMS && byte === COMMA) from = at + 1
    }
    if (nameFrom >= 0) name = carried + chunk.toString('latin1', nameFrom)
    if (inItem) pieces.push(chunk.subarray(from))
    else if (!inItems) rest.push(chunk.subarray(from))
  }
  if (inItem) throw new Error('the list ends in the middle of an object')
  const list = (JSON.parse(Buffer.concat(rest).toString('utf8')) ?? {}) as Omit<ListBody<Item>, 'items'>
  return { ...list, items }
}
