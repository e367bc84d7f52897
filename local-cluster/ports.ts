/** Free TCP ports on the loopback address. */
import { createServer } from 'node:net'

// Below the range from which systems take the ports of outgoing connections (Linux 32768-60999, macOS 49152-65535), so that no
// connection takes a port between its choice here and its use.
const FIRST = 20_000
const COUNT = 10_000

/** A port on 127.0.0.1 that nobody listens on now, chosen at random so that clusters started together do not meet. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = FIRST + Math.floor(Math.random() * COUNT)
    if (await isFree(port)) return port
  }
  throw new Error(`no free port found between ${FIRST} and ${FIRST + COUNT}`)
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  return await new Promise((resolve) => {
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
