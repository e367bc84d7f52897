/** One SlimeBoot with 300 namespaces, beside 1,000 others: the ungated objects, then the catch-alls as global-sidecars become available. */
import { largeAndWide } from './harness/large.ts'
import type { Result } from './harness/report.ts'
import type { Run } from './harness/run.ts'

export async function wide(run: Run): Promise<Result> {
  const { wide: scene } = await largeAndWide(run)
  const { batch, gates, namespaces } = scene
  const [seconds, floor] = [batch.ms / 1000, batch.floor.ms / 1000]
  return {
    name: 'wide',
    title: `One SlimeBoot with ${namespaces.length} namespaces`,
    rows: [
      { what: `${batch.objects} objects`, value: seconds, unit: 's', reference: { name: 'floor', value: floor }, target: { most: 2 } },
      { what: 'requests', value: batch.requests, unit: 'requests', reference: { name: 'floor', value: batch.floor.requests } },
      { what: 'CPU time', value: batch.cpuSeconds, unit: 's' },
      {
        what: `${namespaces.length} gates, all at once: first global-sidecar available → last catch-all written`,
        value: gates.seconds,
        unit: 's',
      },
      { what: 'CPU time of these', value: gates.cpuSeconds, unit: 's' },
    ],
    bars: [
      {
        group: `One SlimeBoot, ${batch.objects} objects`,
        unit: 's',
        bars: [
          { name: 'floor', value: floor },
          { name: 'slimeboot', value: seconds },
        ],
      },
    ],
    notes: ['One round; the floor before and after it, their mean.'],
  }
}
