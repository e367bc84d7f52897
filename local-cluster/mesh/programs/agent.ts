/**
 * Runs inside a pod: the application. Makes HTTP calls from the pod's address and answers those of others, as told on standard input,
 * one JSON object a line; see ../agent.ts, which talks to it. It ends with its standard input.
 */
import { Agent, createServer, request } from 'node:http'
import { createInterface } from 'node:readline'

interface Order {
  readonly id: number
  /** Answer HTTP on this port of every address. */
  readonly listen?: number
  /** Make a call. */
  readonly call?: {
    readonly url: string
    readonly method: string
    readonly headers: Readonly<Record<string, string>>
    readonly timeoutMs: number
    readonly localAddress?: string
  }
}

const agent = new Agent({ keepAlive: true })

for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line) as Order
  follow(order).then(
    (result) => answer({ id: order.id, result }),
    (error: unknown) => answer({ id: order.id, error: error instanceof Error ? error.message : String(error) }),
  )
}
process.exit(0)

function answer(message: object): void {
  process.stdout.write(`${JSON.stringify(message)}\n`)
}

async function follow({ listen, call }: Order): Promise<unknown> {
  if (listen !== undefined) return await serve(listen)
  if (call !== undefined) return await get(call)
  throw new Error('nothing to do')
}

/** Every request is answered with what came: host, path, and from which address. */
async function serve(port: number): Promise<null> {
  const server = createServer(({ headers, url, socket }, response) => {
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ host: headers.host, path: url, from: socket.remoteAddress, forwardedFor: headers['x-forwarded-for'] }))
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '0.0.0.0', resolve)
  })
  return null
}

async function get({ url, method, headers, timeoutMs, localAddress }: NonNullable<Order['call']>): Promise<unknown> {
  return await new Promise((resolve, reject) => {
    const outgoing = request(url, { method, headers, agent, timeout: timeoutMs, localAddress }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, text: Buffer.concat(chunks).toString() }))
    })
    outgoing.on('timeout', () => outgoing.destroy(new Error(`${url}: no answer within ${timeoutMs} ms`)))
    outgoing.on('error', reject)
    outgoing.end()
  })
}
