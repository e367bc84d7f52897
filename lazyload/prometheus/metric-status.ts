/** Samples as keys of `status.metricStatus`, and as hosts (spec 3.3). Pure. */
import { hostOfKey } from '../learn/metric-key.ts'
import type { Sample } from './client.ts'

/** `{a="x", b="y"}`: labels sorted, the name outside of the braces, values quoted as Go does; the name alone, or `{}`, without labels. */
export function keyOfSample({ labels }: Sample): string {
  const { __name__: name = '', ...rest } = labels
  const pairs = Object.entries(rest)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([label, value]) => `${label}=${JSON.stringify(value)}`)
  if (pairs.length === 0) return name === '' ? '{}' : name
  return `${name}{${pairs.join(', ')}}`
}

/** The hosts that the samples tell a fence in `namespace` of, with the sum of their values. */
export function hostsOfSamples(
  samples: readonly Sample[],
  namespace: string,
  isExternal: (host: string) => boolean,
): ReadonlyMap<string, number> {
  const hosts = new Map<string, number>()
  for (const sample of samples) {
    const host = hostOfKey(keyOfSample(sample), namespace, isExternal)
    if (host !== undefined) hosts.set(host, (hosts.get(host) ?? 0) + Number(sample.value))
  }
  return hosts
}
