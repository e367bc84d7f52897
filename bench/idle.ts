/** Two minutes with nothing to do: 1,000 SlimeBoots and one with 300 namespaces, against the Helm operator with 50. */
import { setTimeout as sleep } from 'node:timers/promises'
import { largeAndWide } from './harness/large.ts'
import { byOperator } from './harness/operator.ts'
import { peerNumbers } from './harness/peer-numbers.ts'
import type { Result, Row } from './harness/report.ts'
import { requestsOf } from './harness/requests.ts'
import type { Run } from './harness/run.ts'
import { cpuSeconds } from './harness/usage.ts'

export async function idle(run: Run): Promise<Result> {
  const peer = await peerNumbers(run)
  const { stage, operator, all, wide } = await largeAndWide(run)
  const { pid } = operator()
  const since = new Date()
  const before = cpuSeconds(pid)
  run.show(`idle for ${run.idleSeconds} s`)
  await sleep(run.idleSeconds * 1000)
  const cpu = ((cpuSeconds(pid) - before) / run.idleSeconds) * 100
  const requests = requestsOf(stage, byOperator, since)
  const perSecond = requests.work.length / run.idleSeconds
  const rows: Row[] = [
    { what: 'requests but watches and the Lease', value: requests.work.length, unit: 'requests', target: { most: 0 } },
    { what: 'CPU', value: cpu, unit: '% of a core', target: { most: 0.5 } },
  ]
  const bars = [{ name: 'slimeboot', value: cpu }]
  if (peer !== undefined) {
    const name = `Helm operator with ${peer.boots}`
    rows.push(
      { what: 'requests per second', value: perSecond, unit: '1/s', reference: { name, value: peer.idleRequests }, by: 'difference' },
      { what: 'CPU', value: cpu, unit: '% of a core', reference: { name, value: peer.idleCpu * 100 }, by: 'times less' },
    )
    bars.push({ name, value: peer.idleCpu * 100 })
  }
  return {
    name: 'idle',
    title: `Idle for ${run.idleSeconds} s with ${all} SlimeBoots and one with ${wide.namespaces.length} namespaces`,
    rows,
    bars: [{ group: `Idle with ${all} SlimeBoots`, unit: '% of a core', bars }],
    notes: requests.work.slice(0, 5).map(({ verb, requestURI }) => `sent: ${verb} ${requestURI}`),
  }
}
