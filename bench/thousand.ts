/** 1,000 SlimeBoots × 6 objects: the last 950 of them at once, beside the 50 that are there. */
import { large } from './harness/large.ts'
import type { Result } from './harness/report.ts'
import type { Run } from './harness/run.ts'

export async function thousand(run: Run): Promise<Result> {
  const { batch, few, all } = await large(run)
  const boots = all - few
  const [seconds, floor] = [batch.ms / 1000, batch.floor.ms / 1000]
  return {
    name: 'thousand',
    title: `${boots} SlimeBoots × ${batch.objects / boots} objects beside ${few} others`,
    rows: [
      {
        what: `${boots} SlimeBoots, ${batch.objects} objects`,
        value: seconds,
        unit: 's',
        reference: { name: 'floor', value: floor },
        target: { most: 2 },
      },
      { what: 'CPU time', value: batch.cpuSeconds, unit: 's' },
      { what: 'objects written per second', value: batch.objects / seconds, unit: '1/s' },
      { what: 'requests per SlimeBoot, until its Deployment is available', value: batch.requests / boots, unit: 'requests' },
    ],
    bars: [
      {
        group: `${boots} SlimeBoots × ${batch.objects / boots} objects`,
        unit: 's',
        bars: [
          { name: 'floor', value: floor },
          { name: 'slimeboot', value: seconds },
        ],
      },
    ],
    notes: ['In five parts, the floor and the operator in turn. Linear: the ratio is that of 50 SlimeBoots.'],
  }
}
