/** The port for access logs under people who mean harm and networks that break: connections and streams are bounded, the others go on. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { after, before, test } from 'node:test'
import { randomBytes } from 'node:crypto'
import { status as code } from '@grpc/grpc-js'
import { listenForConnections } from '../../../lazyload/accesslog/connections.ts'
import { type AccessLogServer, startAccessLogServer } from '../../../lazyload/accesslog/server.ts'
import { LOOPBACK, messageOf, openLogStream } from '../../helpers/access-log.ts'
import { eventually } from '../../helpers/eventually.ts'

/** The global-sidecar is at 127.0.0.1; everybody else is a stranger. */
const STRANGER = '127.0.0.2'
const PATIENCE_MS = 500
let server: AccessLogServer
let received = 0
const refused = new Set<string>()
before(async () => {
  server = await startAccessLogServer({
    address: { host: LOOPBACK, port: 0 },
    grantOf: (address) => (address === LOOPBACK ? { namespaces: undefined } : undefined),
    receive: () => void received++,
    onRefused: (address) => void refused.add(address),
    patienceMs: PATIENCE_MS,
    keepaliveMs: 1000,
  })
})
after(() => server.close())

const message = messageOf([{ directRemote: '10.0.0.1', upstreamCluster: 'outbound|80||a.example.com' }])

/** A message that arrives shows that the server works. */
async function works(): Promise<void> {
  const enough = received + 1
  using stream = openLogStream(server.port, LOOPBACK)
  stream.send(message)
  await eventually(() => assert.equal(received, enough))
  await stream.end()
}

/** Opens raw connections from an address of loopback; those that are still open are counted. */
function connections(from: string, count: number, first: Buffer = Buffer.alloc(0)): { readonly open: () => number } & Disposable {
  const sockets = new Set<Socket>()
  for (let index = 0; index < count; index++) {
    const socket = connect({ host: LOOPBACK, port: server.port, localAddress: from })
    sockets.add(socket)
    socket.on('error', () => {}).on('close', () => sockets.delete(socket))
    socket.resume().write(first)
  }
  return { open: () => sockets.size, [Symbol.dispose]: () => sockets.forEach((socket) => socket.destroy()) }
}

/** Between a client and the server, which sees `source` as the peer; half-open when it is told: it takes bytes, gives none and closes nothing. */
async function startRelay(source = LOOPBACK): Promise<{ readonly port: number; readonly stall: () => void } & AsyncDisposable> {
  const sockets = new Set<Socket>()
  const relay: Server = createServer((client) => {
    const behind = connect({ host: LOOPBACK, port: server.port, localAddress: source })
    for (const [from, to] of [
      [client, behind],
      [behind, client],
    ] as const) {
      sockets.add(from)
      from.on('error', () => {}).on('close', () => to.destroy())
      from.pipe(to)
    }
  })
  await once(relay.listen(0, LOOPBACK), 'listening')
  return {
    port: (relay.address() as AddressInfo).port,
    stall: () => sockets.forEach((socket) => socket.removeAllListeners('close').unpipe().resume()),
    async [Symbol.asyncDispose]() {
      sockets.forEach((socket) => socket.destroy())
      relay.close()
      await once(relay, 'close')
    },
  }
}

test('a stranger holds a few connections, and those not for long; the global-sidecar is served meanwhile', async () => {
  using strangers = connections(STRANGER, 1000)
  await eventually(() => assert.ok(strangers.open() > 0 && strangers.open() <= 100, `${strangers.open()} are open`))
  await works()
  await eventually(() => assert.equal(strangers.open(), 0))
  assert.deepEqual([...refused], [STRANGER])
})

test('a stranger that speaks HTTP/2 is told why, and its connection does not stay', async () => {
  await using relay = await startRelay(STRANGER)
  using stream = openLogStream(relay.port, LOOPBACK)
  stream.send(message)
  assert.equal((await stream.ended)?.code, code.PERMISSION_DENIED)
  await works()
})

test('bytes that are not HTTP/2, and HTTP/2 that is not gRPC, end their own connection only', async () => {
  const others = [
    randomBytes(10_000),
    Buffer.from('GET / HTTP/1.1\r\nhost: x\r\n\r\n'),
    Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), randomBytes(10_000)]),
  ]
  for (const bytes of others) {
    using broken = connections(LOOPBACK, 20, bytes)
    await works()
    await eventually(() => assert.equal(broken.open(), 0))
  }
})

test('a message that is larger than it may be ends its own stream only', async () => {
  using stream = openLogStream(server.port, LOOPBACK)
  stream.send(Buffer.alloc(5 * 1024 * 1024))
  assert.equal((await stream.ended)?.code, code.RESOURCE_EXHAUSTED)
  await works()
})

test('streams of a peer that vanished without a word are given up', async () => {
  await using relay = await startRelay()
  const streams = Array.from({ length: 20 }, () => openLogStream(relay.port, LOOPBACK))
  for (const stream of streams) stream.send(message)
  await eventually(() => assert.equal(server.streams(), 20))
  relay.stall()
  await eventually(() => assert.equal(server.streams(), 0), { timeout: 30_000 })
  await works()
  for (const stream of streams) stream[Symbol.dispose]()
})

test('connections that come and go leave no stream behind', async () => {
  for (let round = 0; round < 5; round++) {
    const streams = Array.from({ length: 100 }, () => openLogStream(server.port, LOOPBACK))
    for (const stream of streams) stream.send(message)
    await eventually(() => assert.equal(server.streams(), 100))
    for (const stream of streams) stream[Symbol.dispose]()
    await eventually(() => assert.equal(server.streams(), 0))
  }
})

test('a sender that becomes known holds no place of the unknown ones any more', async () => {
  const known = new Set<string>()
  const held: Socket[] = []
  const listening = await listenForConnections({
    address: { host: LOOPBACK, port: 0 },
    isKnown: (address) => known.has(address),
    accept: (socket) => void held.push(socket),
    onRefused: () => {},
    patienceMs: 300,
  })
  const from = (localAddress: string): Socket => connect({ host: LOOPBACK, port: listening.port, localAddress }).on('error', () => {})
  const early = Array.from({ length: 64 }, () => from(LOOPBACK))
  await eventually(() => assert.equal(held.length, 64))
  known.add(LOOPBACK)
  try {
    // refused at once while all places are taken, patiently afterwards
    await eventually(() => {
      from(STRANGER)
      assert.ok(held.length > 64)
    })
    assert.ok(early.every((socket) => !socket.destroyed))
  } finally {
    listening.close()
  }
})
