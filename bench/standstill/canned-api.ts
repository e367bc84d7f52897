/**
 * An API server that knows nothing: it lists what it is given, tells of what changes, and takes every write. For objects that take a real
 * one minutes to store, and a process of its own need not be measured beside it.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import type { KubeObject } from '../../runtime/object.ts'

export interface CannedApi extends AsyncDisposable {
  /** `http://127.0.0.1:port` */
  readonly server: string
  /** Stores an object of this plural and tells the watches. */
  readonly put: (plural: string, object: KubeObject) => void
  /** Writes so far. */
  readonly writes: () => number
}

export async function startCannedApi(): Promise<CannedApi> {
  const stored = new Map<string, Map<string, string>>()
  const watches = new Map<string, Set<ServerResponse>>()
  let version = 1000
  let writes = 0

  const keyOf = ({ metadata }: KubeObject): string => `${metadata.namespace ?? ''}/${metadata.name}`
  const objectsOf = (plural: string): Map<string, string> => {
    const objects = stored.get(plural) ?? new Map<string, string>()
    stored.set(plural, objects)
    return objects
  }

  function put(plural: string, object: KubeObject): KubeObject {
    const complete = { ...object, metadata: { uid: `uid-${keyOf(object)}`, ...object.metadata, resourceVersion: String(++version) } }
    const json = JSON.stringify(complete)
    const type = objectsOf(plural).has(keyOf(object)) ? 'MODIFIED' : 'ADDED'
    objectsOf(plural).set(keyOf(object), json)
    for (const watch of watches.get(plural) ?? []) watch.write(`{"type":"${type}","object":${json}}\n`)
    return complete
  }

  /** `servicefences`, `shop/cart`, `status` of `/apis/group/version/namespaces/shop/servicefences/cart/status`. */
  function placeOf(path: string): { readonly plural: string; readonly key: string | undefined; readonly rest: string | undefined } {
    const parts = path.split('/').slice(path.startsWith('/apis/') ? 4 : 3)
    const isInside = parts[0] === 'namespaces' && parts.length > 2
    const [plural = '', name, rest] = isInside ? parts.slice(2) : parts
    return { plural, key: name === undefined ? undefined : `${isInside ? parts[1] : ''}/${name}`, rest }
  }

  function send(response: ServerResponse, code: number, body: string): void {
    response.writeHead(code, { 'content-type': 'application/json' }).end(body)
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost')
    if (pathname === '/version') return send(response, 200, '{"major":"1","minor":"36","gitVersion":"v1.36.0"}')
    const { plural, key } = placeOf(pathname)
    if (request.method === 'GET' && searchParams.get('watch') === 'true') {
      response.writeHead(200, { 'content-type': 'application/json' })
      response.flushHeaders()
      const open = watches.get(plural) ?? new Set<ServerResponse>()
      watches.set(plural, open.add(response))
      response.once('close', () => open.delete(response))
      return
    }
    if (request.method === 'GET') {
      if (key === undefined) {
        const items = [...objectsOf(plural).values()].join(',')
        return send(response, 200, `{"metadata":{"resourceVersion":"${version}"},"items":[${items}]}`)
      }
      const found = objectsOf(plural).get(key)
      return send(response, found === undefined ? 404 : 200, found ?? `{"kind":"Status","code":404,"details":{"name":"${key}"}}`)
    }
    writes++
    const body = JSON.parse((await text(request)) || 'null') as KubeObject | readonly unknown[] | null
    const before = key === undefined ? undefined : objectsOf(plural).get(key)
    const known = before === undefined ? undefined : (JSON.parse(before) as KubeObject)
    if (plural.endsWith('reviews')) return send(response, 201, JSON.stringify({ ...(body as KubeObject), status: { allowed: true } }))
    // a JSON patch changes a finalizer, a merge patch a status; an apply is the whole object
    const type = request.headers['content-type'] ?? ''
    const now = type.includes('json-patch')
      ? known
      : type.includes('merge-patch')
        ? ({ ...known, status: { ...(known?.['status'] as object), ...((body as KubeObject)['status'] as object) } } as KubeObject)
        : { ...known, ...(body as KubeObject) }
    if (now === undefined) return send(response, 404, '{"kind":"Status","code":404,"details":{"name":"x"}}')
    send(response, 200, JSON.stringify(put(plural, now)))
  }

  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => send(response, 500, JSON.stringify({ kind: 'Status', message: String(error) })))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    server: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    put: (plural, object) => void put(plural, object),
    writes: () => writes,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await Promise.resolve()
    },
  }
}
