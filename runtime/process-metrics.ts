/** Metrics of this process: prom-client's names where it has one (https://github.com/siimon/prom-client#default-metrics), looked up at the scrape. */
import { readdirSync } from 'node:fs'
import { monitorEventLoopDelay, performance } from 'node:perf_hooks'
import type Registry from 'prom-client/lib/registry.js'
import { collectCounters, collectGauge } from './collected-metrics.ts'

const LAG_RESOLUTION_MS = 250

/** Adds them to `registry`; call it once in a process. */
export function collectProcess(registry: Registry): void {
  const gauge = (name: string, help: string, value: () => number): void => collectGauge(registry, name, help, {}, value)
  const total = (name: string, help: string, value: () => number): void =>
    collectCounters(registry, name, help, [], (set) => set({}, value()))

  total('process_cpu_seconds_total', 'CPU time, user and system.', () => {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1e6
  })
  gauge('process_resident_memory_bytes', 'Resident memory.', () => process.memoryUsage.rss())
  gauge('process_start_time_seconds', 'Start of the process, seconds since 1970.', () => performance.timeOrigin / 1000)
  gauge('process_open_fds', 'Open files and sockets.', openFiles)
  gauge(
    'nodejs_active_timers',
    'Timers that are set; a number that only grows is a leak.',
    () => process.getActiveResourcesInfo().filter((type) => type === 'Timeout').length,
  )
  gauge('nodejs_heap_size_used_bytes', 'JavaScript heap in use.', () => process.memoryUsage().heapUsed)
  total(
    'nodejs_eventloop_busy_seconds_total',
    'Time in which the event loop had work; its rate is the utilization of the one thread.',
    () => performance.eventLoopUtilization().active / 1000,
  )
  const lag = monitorEventLoopDelay({ resolution: LAG_RESOLUTION_MS })
  lag.enable()
  gauge('nodejs_eventloop_lag_max_seconds', 'Longest delay of a timer since the last scrape: how long the event loop was blocked.', () => {
    // the histogram's values contain the interval itself
    const seconds = Math.max(0, lag.max / 1e9 - LAG_RESOLUTION_MS / 1000)
    lag.reset()
    return seconds
  })
}

/** 0 where the system does not say. */
function openFiles(): number {
  try {
    return readdirSync('/proc/self/fd').length
  } catch {
    return 0
  }
}
