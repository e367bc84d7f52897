/** Metrics whose values are looked up when Prometheus asks, instead of being kept up to date all the time. */
import Counter from 'prom-client/lib/counter.js'
import Gauge from 'prom-client/lib/gauge.js'
import type Registry from 'prom-client/lib/registry.js'
import { guarded } from './callbacks.ts'

type Labels = Readonly<Record<string, string>>

/** A gauge of one value. `labels` are the same at every scrape. */
export function collectGauge(registry: Registry, name: string, help: string, labels: Labels, value: () => number): void {
  collectGauges(registry, name, help, Object.keys(labels), (set) => set(labels, value()))
}

/** A gauge of a value for each combination of labels that `collect` sets; those that it does not set are gone. */
export function collectGauges(
  registry: Registry,
  name: string,
  help: string,
  labelNames: readonly string[],
  collect: (set: (labels: Labels, value: number) => void) => void,
): void {
  // one that cannot be looked up leaves the others
  const collectAll = guarded('metrics', name, collect)
  const metric = new Gauge({
    name,
    help,
    labelNames,
    registers: [],
    collect() {
      this.reset()
      collectAll((labels, value) => this.set(labels, value))
    },
  })
  registry.registerMetric(metric)
}

/** A counter of what somebody else counts: `collect` sets the totals so far. */
export function collectCounters(
  registry: Registry,
  name: string,
  help: string,
  labelNames: readonly string[],
  collect: (set: (labels: Labels, total: number) => void) => void,
): void {
  const collectAll = guarded('metrics', name, collect)
  const metric = new Counter({
    name,
    help,
    labelNames,
    registers: [],
    collect() {
      this.reset()
      collectAll((labels, total) => this.inc(labels, total))
    },
  })
  registry.registerMetric(metric)
}
