/**
 * The TCP side of the port for access logs, which is open to the whole cluster: whoever is no global-sidecar holds few connections,
 * and none for long, so that nobody can fill the memory from outside.
 */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { after, guarded, listen, listenOnce } from '../../runtime/callbacks.ts'
import type { Address } from '../../runtime/health-server.ts'
import { canonicalAddress } from '../mesh/endpoints.ts'

export interface ConnectionOptions {
  readonly address: Address
  /** The address of a global-sidecar. */
  readonly isKnown: (address: string) => boolean
  /** A connection that may be served. */
  readonly accept: (socket: Socket) => void
  /** A connection was closed because its sender is not known. */
  readonly onRefused: (address: string) => void
  /** How long a sender may be unknown, milliseconds. */
  readonly patienceMs: number
}

export interface Connections {
  readonly port: number
  /** Takes no more, and closes those that are open without waiting for a peer that may have vanished. */
  close(): void
}

/** An Envoy may be faster than the EndpointSlice that says who it is: so many may wait. */
const MAX_STRANGERS = 64

/** Resolves when it listens. Throws an Error that says why it cannot. */
export async function listenForConnections({ address, isKnown, accept, onRefused, patienceMs }: ConnectionOptions): Promise<Connections> {
  let strangers = 0
  const open = new Set<Socket>()

  function refuse(socket: Socket, from: string): void {
    socket.destroy()
    onRefused(from)
  }

  function connected(socket: Socket): void {
    listen(socket, 'error', 'connection', () => {})
    open.add(socket)
    listenOnce(socket, 'close', 'connection', () => open.delete(socket))
    const from = canonicalAddress(socket.remoteAddress ?? '')
    if (!isKnown(from)) {
      if (strangers >= MAX_STRANGERS) return refuse(socket, from)
      strangers++
      let counted = true
      const release = (): void => {
        if (counted) strangers--
        counted = false
      }
      const timer = after(patienceMs, `connection of ${from}`, () => {
        if (isKnown(from)) release()
        else refuse(socket, from)
      })
      listenOnce(socket, 'close', 'connection', () => {
        clearTimeout(timer)
        release()
      })
    }
    accept(socket)
  }

  const server = createServer(
    { noDelay: true },
    guarded('stream', 'connection', (socket: Socket) => {
      try {
        connected(socket)
      } catch (error) {
        // half accepted, nobody would ever close it
        socket.destroy()
        throw error
      }
    }),
  )
  // all addresses, IPv4 and IPv6, unless one is given
  server.listen(address.host === undefined ? { port: address.port } : { host: address.host, port: address.port })
  await once(server, 'listening')
  // too many open files: the next connection may find one
  listen(server, 'error', 'port for access logs', () => {})
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      server.close()
      for (const socket of open) socket.destroy()
    },
  }
}
