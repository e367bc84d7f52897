/**
 * Runs inside a pod network: what pods reach besides each other. Passes connections to the API server's address on to a socket file,
 * which namespaces of the network do not hide; and answers DNS questions from a file of lines `ADDRESS NAME…`.
 * `gateway.ts API_ADDRESS API_PORT SOCKET_FILE DNS_ADDRESS NAMES_FILE`
 */
import { createSocket } from 'node:dgram'
import { readFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { answerTo } from '../dns-message.ts'

const [apiAddress = '', apiPort = '', socketFile = '', dnsAddress = '', namesFile = ''] = process.argv.slice(2)

const relay = createServer({ allowHalfOpen: true }, (outer) => {
  const inner = connect({ path: socketFile, allowHalfOpen: true })
  join(outer, inner)
  join(inner, outer)
})
const dns = createSocket('udp4')
dns.on('message', (question, { address, port }) => {
  const answer = answerTo(question, addressesOf)
  if (answer !== undefined) dns.send(answer, port, address)
})
dns.bind(53, dnsAddress, () => relay.listen(Number(apiPort), apiAddress, () => process.stdout.write('listening\n')))

function join(from: Socket, to: Socket): void {
  from.setNoDelay(true)
  from.pipe(to)
  from.on('error', () => to.destroy())
  from.on('close', () => to.destroy())
}

function addressesOf(name: string): readonly string[] {
  const lines = readFileSync(namesFile, 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
  return lines.filter(([, ...names]) => names.includes(name)).map(([address]) => address!)
}
