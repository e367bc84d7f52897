/**
 * One watch connection as an iterator of events: lines of JSON, an inactivity timer, ERROR events as errors
 * (https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes).
 */
import type { IncomingMessage } from 'node:http'
import { after } from './callbacks.ts'
import type { KubeObject } from './object.ts'
import { ApiError, ConnectionError, isStatus, SilenceError } from './errors.ts'

export type WatchEvent =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: KubeObject }
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: string }

/** Code of the ConnectionError for a line that is no event. */
export const BAD_EVENT = 'BAD_EVENT'

/** Code of the ConnectionError for a watch that says nothing any more. */
export const SILENT_WATCH = 'SILENT_WATCH'

/** Longest line accepted: etcd's default limit on an object is 1.5 MiB. */
const MAX_LINE = 16 * 1024 * 1024

/**
 * Yields events until the server ends the watch. Throws ApiError for an ERROR event (410 among them) and
 * ConnectionError when nothing was heard for `inactivityMs`, when a line is no JSON, or when the connection breaks.
 */
export async function* readWatch(response: IncomingMessage, inactivityMs: number): AsyncGenerator<WatchEvent> {
  const silent = Object.assign(new SilenceError(`silent for ${inactivityMs / 1000} s`), { code: SILENT_WATCH })
  const timer = after(inactivityMs, 'silent watch', () => response.destroy(silent))
  response.setEncoding('utf8')
  let rest = ''
  try {
    for await (const chunk of response as AsyncIterable<string>) {
      timer.refresh()
      // what waits has no end of a line: a long line is not looked through again with each piece
      const searched = rest.length
      rest += chunk
      let start = 0
      for (let end = rest.indexOf('\n', searched); end >= 0; end = rest.indexOf('\n', start)) {
        const line = rest.slice(start, end)
        start = end + 1
        if (line !== '') yield parseEvent(line)
      }
      rest = rest.slice(start)
      if (rest.length > MAX_LINE) throw badEvent('over 16 MiB in one line')
    }
  } catch (error) {
    throw error instanceof ApiError ? error : new ConnectionError('watch', error)
  } finally {
    clearTimeout(timer)
    response.destroy()
  }
}

function parseEvent(line: string): WatchEvent {
  const { type, object } = parseLine(line)
  if (type === 'ERROR') throw new ApiError('watch', isStatus(object) ? (object.code ?? 500) : 500, object)
  if (object?.metadata?.name === undefined && type !== 'BOOKMARK') throw badEvent(line)
  if (type === 'BOOKMARK') return { type, resourceVersion: object?.metadata?.resourceVersion ?? '' }
  if (type === 'ADDED' || type === 'MODIFIED' || type === 'DELETED') return { type, object: object as KubeObject }
  throw badEvent(line)
}

function parseLine(line: string): { readonly type?: string; readonly object?: Partial<KubeObject> } {
  try {
    return (JSON.parse(line) ?? {}) as ReturnType<typeof parseLine>
  } catch {
    throw badEvent(line)
  }
}

function badEvent(line: string): Error {
  return Object.assign(new Error(`not a watch event: ${line.slice(0, 200)}`), { code: BAD_EVENT })
}
