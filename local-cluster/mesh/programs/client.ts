/**
 * Runs inside a pod: one exchange that is more than an HTTP/1.1 call, its outcome on standard output.
 * `client.ts tcp ADDRESS PORT`: what the server says first, and what it sends back.
 * `client.ts websocket ADDRESS PORT HOST`: the status of the upgrade, and what comes back.
 * `client.ts http2 ADDRESS PORT HOST`: the status, and the body.
 */
import { request } from 'node:http'
import { connect as connectHttp2 } from 'node:http2'
import { connect, type Socket } from 'node:net'

const TIMEOUT_MS = 5000
const [kind, address = '', port = '', host = ''] = process.argv.slice(2)

setTimeout(() => end('no answer'), TIMEOUT_MS)
if (kind === 'tcp') talk(connect({ host: address, port: Number(port) }))
else if (kind === 'websocket') upgrade()
else callHttp2()

function end(outcome: string): void {
  process.stdout.write(outcome, () => process.exit(0))
}

/** Ends when the text that it sends has come back. */
function talk(socket: Socket, before = ''): void {
  let text = before
  socket.write('hello\n')
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString()
    if (text.endsWith('hello\n')) end(text)
  })
  socket.on('error', (error) => end(error.message))
  socket.on('close', () => end('closed'))
}

function upgrade(): void {
  const outgoing = request({ host: address, port, headers: { host, connection: 'Upgrade', upgrade: 'websocket' } })
  outgoing.on('upgrade', ({ statusCode }, socket) => talk(socket, `${statusCode} `))
  outgoing.on('response', ({ statusCode }) => end(String(statusCode)))
  outgoing.on('error', (error) => end(error.message))
  outgoing.end()
}

function callHttp2(): void {
  const session = connectHttp2(`http://${address}:${port}`)
  session.on('error', (error) => end(error.message))
  const stream = session.request({ ':path': '/', ':authority': host })
  let text = ''
  stream.on('response', ({ ':status': status }) => (text = `${status} `))
  stream.on('data', (chunk: Buffer) => (text += chunk.toString()))
  stream.on('error', (error) => end(error.message))
  stream.on('end', () => end(text))
}
