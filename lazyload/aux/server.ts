/** The auxiliary HTTP port (8081), and the port of the metrics (8080). */
import type { Logger } from 'winston'
import type { Client } from '../../runtime/client.ts'
import { type Address, startHealthServer } from '../../runtime/health-server.ts'
import type { KubeObject } from '../../runtime/object.ts'
import type { LazyloadConfig } from '../config.ts'
import { type HealthState, liveChecks, readyChecks } from '../health.ts'
import type { RequestLog } from '../log/request-log.ts'
import { resetFence } from '../learn/reset.ts'
import type { LazyloadMetrics } from '../metrics.ts'
import { createRoutes } from './routes.ts'

export interface AuxOptions {
  readonly config: LazyloadConfig
  readonly health: HealthState
  readonly metrics: LazyloadMetrics
  readonly log: Logger
  readonly requestLog: RequestLog
  readonly fences: () => Iterable<KubeObject>
  readonly client: Pick<Client, 'get' | 'mergePatch'>
}

/** Serves /modules/livez, /modules/readyz, /metrics, /log/slime, /log/k and the reset. Throws an Error that says why it cannot. */
export async function startAux(options: AuxOptions): Promise<{ readonly close: () => void }> {
  const { config, health, metrics, log, requestLog, fences, client } = options
  const handle = createRoutes({ log, requestLog, module: config.name, fences, reset: async (fence) => await resetFence(client, fence) })
  const base = {
    alias: '/modules',
    live: () => liveChecks(health),
    ready: () => readyChecks(health),
    metrics: metrics.render,
    onProblem: (error: Error) => log.error('auxiliary server', { error: error.message }),
  }
  const addresses = [config.auxAddress, config.metricsAddress].filter((address) => address !== undefined)
  const servers = await Promise.all(
    distinct(addresses).map(
      async (address, index) =>
        await startHealthServer({ ...base, address, ...(index === 0 && address === config.auxAddress ? { handle } : {}) }),
    ),
  )
  log.info('serving /modules/livez, /modules/readyz, /metrics', { ports: servers.map(({ port }) => port) })
  return { close: () => servers.forEach((server) => server.close()) }
}

function distinct(addresses: readonly Address[]): readonly Address[] {
  return addresses.filter(
    ({ host, port }, index) => port === 0 || addresses.findIndex((other) => other.host === host && other.port === port) === index,
  )
}
