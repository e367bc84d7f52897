/**
 * Runs inside a pod: calls one host after the other at a steady rate, each from its own moment on and for a while, until its standard
 * input ends; then it says how it went as JSON: `{ calls, failed: ["MS-SINCE-START HOST OUTCOME", …] }`.
 * `load.ts CALLS-PER-SECOND-AND-HOST MS-BETWEEN-HOSTS MS-PER-HOST HOST=ADDRESS:PORT…`
 */
import { Agent, request } from 'node:http'

const [rate = '', stagger = '', lasting = '', ...targets] = process.argv.slice(2)
const agent = new Agent({ keepAlive: true })
const start = performance.now()
const failed: string[] = []
const open = new Set<Promise<void>>()
let calls = 0

async function call(host: string, address: string, port: string): Promise<void> {
  const outcome = await new Promise<string>((resolve) => {
    const outgoing = request({ host: address, port, headers: { host: `${host}:${port}` }, agent, timeout: 15_000 }, (response) => {
      response.resume()
      response.on('end', () => resolve(String(response.statusCode)))
      response.on('error', (error) => resolve(error.message))
    })
    outgoing.on('timeout', () => outgoing.destroy(new Error('no answer')))
    outgoing.on('error', (error) => resolve(error.message))
    outgoing.end()
  })
  calls++
  if (outcome !== '200') failed.push(`${Math.round(performance.now() - start)} ${host} ${outcome}`)
}

const timers = targets.map((target, index) => {
  const [host = '', address = '', port = ''] = target.split(/[=:]/)
  const first = start + index * Number(stagger)
  let sent = 0
  // as many as are due: a busy machine may skip a tick
  return setInterval(() => {
    const since = Math.min(performance.now() - first, Number(lasting))
    for (const due = Math.floor((since / 1000) * Number(rate)); sent < due; sent++) {
      const one = call(host, address, port)
      open.add(one)
      void one.then(() => open.delete(one))
    }
  }, 5)
})

process.stdin.on('data', () => {})
process.stdin.on('end', () => {
  timers.forEach((timer) => clearInterval(timer))
  void Promise.all(open).then(() => process.stdout.write(JSON.stringify({ calls, failed }), () => process.exit(0)))
})
