/**
 * Runs inside a pod network: lets the API server, which is outside, reach pods (webhooks). HTTP CONNECT on a socket file, as
 * Konnectivity does it: https://kubernetes.io/docs/tasks/extend-kubernetes/setup-konnectivity/. `tunnel.ts FILE`
 */
import { createServer } from 'node:http'
import { connect } from 'node:net'

const [file = ''] = process.argv.slice(2)
const server = createServer()

server.on('connect', ({ url = '' }, outer) => {
  const { hostname, port } = new URL(`tcp://${url}`)
  const inner = connect(Number(port), hostname, () => {
    outer.write('HTTP/1.1 200 Connection established\r\n\r\n')
    inner.pipe(outer).pipe(inner)
  })
  inner.on('error', () => outer.destroy())
  outer.on('error', () => inner.destroy())
})
server.listen(file, () => process.stdout.write('listening\n'))
