/** The operator as a process: signals, leader election, health server, controller; `run` waits until all of it has ended. */
import { randomUUID } from 'node:crypto'
import type { Logger } from 'winston'
import { soon } from '../runtime/callbacks.ts'
import { createClient } from '../runtime/client.ts'
import { collectAtRest } from '../runtime/collect-at-rest.ts'
import { messageOf } from '../runtime/errors.ts'
import { createEventRecorder } from '../runtime/events.ts'
import { type Check, type HealthServer, startHealthServer } from '../runtime/health-server.ts'
import { loadKubeConfig } from '../runtime/kubeconfig.ts'
import { createLeaderElection, type LeaderElection, LeaseLostError } from '../runtime/leader-election.ts'
import { onProcessEvents } from '../runtime/process-events.ts'
import { createTransport } from '../runtime/transport.ts'
import { watchChecks } from '../runtime/watch-health.ts'
import { EVENT } from './api/kinds.ts'
import type { OperatorConfig } from './config.ts'
import { type Controller, createController } from './controller/controller.ts'
import { warmUp } from './controller/warm-up.ts'
import { readDefaults } from './defaults-file.ts'
import { createLogger } from './logger.ts'
import { createOperatorMetrics, type OperatorMetrics } from './metrics.ts'
import { VERSION } from './version.ts'

/** Runs until SIGTERM or SIGINT. Throws what stops the start; a lost lease ends the process with exit code 1. */
export async function runOperator(config: OperatorConfig): Promise<void> {
  const log = createLogger({ level: config.logLevel, format: config.logFormat })
  const stop = onProcessEvents(log)
  const election = createElection(config, log)
  const metrics = createOperatorMetrics({
    workers: config.workers,
    election: election === undefined ? undefined : { name: config.leaderElection!.name, isLeading: election.isLeading },
  })
  const operatorDefaults = await readDefaults(config.defaults)
  const transport = createTransport({
    loadConfig: () => loadKubeConfig(config.kubeconfig),
    userAgent: userAgentOf(config),
    ...(election === undefined ? {} : { beforeSend: election.checkWrite }),
    observe: (method, code) => metrics.request(host, method, code),
  })
  const { host } = new URL(transport.server)
  const client = createClient(transport)
  const events = createEventRecorder({
    client,
    eventType: EVENT,
    component: 'slime-boot',
    instance: config.podName,
    onProblem: (error) => log.warn('event not sent', { error: messageOf(error) }),
  })
  const controller = createController({
    client,
    events,
    log,
    watchNamespaces: config.watchNamespaces,
    selector: config.selector,
    workers: config.workers,
    meshSettle: config.meshSettle,
    metrics,
    operatorNamespace: config.podNamespace,
    ...(operatorDefaults === undefined ? {} : { operatorDefaults }),
  })
  metrics.watchQueue(controller.queue)
  metrics.watchController(controller)

  log.info('starting', { version: VERSION, server: transport.server, namespaces: config.watchNamespaces.join(',') || 'all' })
  const health = await serveHealth(config, log, metrics, controller, election)
  const work = async (signal: AbortSignal): Promise<void> => {
    await controller.run(signal)
    await events.flush()
  }
  soon('warm up', warmUp)
  const { queue, reconciles } = controller
  collectAtRest({ worked: reconciles, isBusy: () => queue.depth() + queue.running().length > 0 }, stop)
  try {
    if (election === undefined) await work(stop)
    else await election.lead(stop, work)
    log.info('stopped')
  } catch (error) {
    if (!(error instanceof LeaseLostError)) throw error
    // another replica may lead by now: the state in this process is worth nothing any more, as client-go sees it too
    log.error('lease lost, exiting', { error: error.message })
    process.exit(1)
  } finally {
    health?.close()
    transport.close()
    election?.close()
  }
}

type Election = LeaderElection & { readonly close: () => void }

/** With a client of its own: a renewal waits for no other request, and is not asked for the lease that it renews. */
function createElection(config: OperatorConfig, log: Logger): Election | undefined {
  if (config.leaderElection === undefined) return undefined
  const { namespace, name, timing } = config.leaderElection
  const identity = `${config.podName}_${randomUUID()}`
  const lease = `${namespace}/${name}`
  const transport = createTransport({ loadConfig: () => loadKubeConfig(config.kubeconfig), userAgent: userAgentOf(config) })
  const election = createLeaderElection({
    client: createClient(transport),
    namespace,
    name,
    identity,
    timing,
    onHolder: (holder) => {
      if (holder === identity) log.info('leading', { lease })
      else log.info(holder === '' ? 'lease released' : 'standing by', { lease, ...(holder === '' ? {} : { leader: holder }) })
    },
    onProblem: (error) => log.warn('leader election', { lease, error: error.message }),
  })
  return { ...election, close: () => transport.close() }
}

async function serveHealth(
  config: OperatorConfig,
  log: Logger,
  metrics: OperatorMetrics,
  controller: Controller,
  election: LeaderElection | undefined,
): Promise<HealthServer | undefined> {
  if (config.healthAddress === undefined) return undefined
  const leaseDurationMs = config.leaderElection?.timing.leaseDurationMs ?? 0
  const health = await startHealthServer({
    address: config.healthAddress,
    live: () => [
      { name: 'leader-election', problem: election?.isStuck() === true ? 'the lease was lost, and this process did not exit' : undefined },
    ],
    ready: () => [
      ...leaseChecks(election, leaseDurationMs),
      ...(election === undefined || election.isLeading() ? watchChecks(controller.informers) : []),
    ],
    metrics: metrics.render,
    onProblem: (error) => log.error('health server', { error: error.message }),
  }).catch((error: unknown) => {
    throw new Error(`${messageOf(error)}. Choose another with --health-address, or 0 for none.`, { cause: error })
  })
  log.info('serving /livez, /readyz and /metrics', { port: health.port })
  return health
}

/** A standby is ready as long as it sees the lease: else it could not take over. */
function leaseChecks(election: LeaderElection | undefined, leaseDurationMs: number): readonly Check[] {
  if (election === undefined) return []
  const blind = election.silentMs() > 2 * leaseDurationMs
  return [
    {
      name: 'lease',
      problem: blind ? `not read for ${Math.round(election.silentMs() / 1000)} s: ${election.problem() || 'no answer'}` : undefined,
    },
  ]
}

function userAgentOf(config: OperatorConfig): string {
  return `slimeboot/${VERSION} (${config.podName})`
}
