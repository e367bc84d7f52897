/**
 * An application that answers whatever it is asked: `echo.ts NAME http:9080 http:8000 tcp:3306`. HTTP/1.1, HTTP/2 without TLS and
 * WebSocket's upgrade on `http:` ports, with its name and port and what came as JSON. On `tcp:` ports it greets first, as MySQL does, and sends
 * back what it gets.
 */
import { createServer as createHttp, type IncomingHttpHeaders } from 'node:http'
import { createServer as createHttp2 } from 'node:http2'
import { createServer, type Socket } from 'node:net'

const [name = '', ...ports] = process.argv.slice(2)

const answer = (socket: Pick<Socket, 'localPort'> | undefined, headers: IncomingHttpHeaders, path: string | undefined): string =>
  JSON.stringify({ name: `${name}:${socket?.localPort}`, path, headers })

const http = createHttp(({ socket, headers, url }, response) => {
  response.end(answer(socket, headers, url))
})
http.on('upgrade', (_, socket: Socket) => {
  socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n')
  socket.pipe(socket)
  socket.on('error', () => socket.destroy())
})
http.keepAliveTimeout = 0

const http2 = createHttp2()
http2.on('stream', (stream, headers) => {
  stream.respond({ ':status': 200 })
  stream.end(answer(stream.session?.socket, headers, headers[':path']))
})

/** HTTP/2 begins with a line of its own: https://www.rfc-editor.org/rfc/rfc9113#section-3.4 */
function serveHttp(socket: Socket): void {
  socket.on('error', () => socket.destroy())
  socket.once('data', (first: Buffer) => {
    socket.pause()
    socket.unshift(first)
    const server = first.toString('latin1', 0, 4) === 'PRI ' ? http2 : http
    server.emit('connection', socket)
    process.nextTick(() => socket.resume())
  })
}

function serveTcp(socket: Socket): void {
  socket.on('error', () => socket.destroy())
  socket.write(`${name} greets\n`)
  socket.pipe(socket)
}

for (const each of ports) {
  const [protocol, port] = each.split(':')
  createServer(protocol === 'http' ? serveHttp : serveTcp).listen(Number(port))
}
