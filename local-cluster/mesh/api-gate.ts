/** The way to the API server out of a pod network: a socket file, since a path is seen from every network namespace. */
import { once } from 'node:events'
import { connect, createServer } from 'node:net'

/** Passes connections to the socket file `socket` on to `server` (`https://127.0.0.1:PORT`). Does not keep this process alive. */
export async function openApiGate(socket: string, server: string): Promise<Disposable> {
  const { hostname: host, port } = new URL(server)
  const gate = createServer({ allowHalfOpen: true }, (inner) => {
    const outer = connect({ host, port: Number(port), allowHalfOpen: true })
    inner.pipe(outer).pipe(inner)
    for (const [one, other] of [
      [inner, outer],
      [outer, inner],
    ] as const) {
      one.on('error', () => other.destroy())
      one.on('close', () => other.destroy())
      one.unref()
    }
  })
  gate.unref()
  gate.listen(socket)
  await once(gate, 'listening')
  return { [Symbol.dispose]: () => void gate.close() }
}
