/** Lazyload as a process: every replica watches and learns, the leader also writes Sidecars and fences and asks Prometheus. */
import type { Logger } from 'winston'
import { after, listenOnce } from '../runtime/callbacks.ts'
import { createClient } from '../runtime/client.ts'
import { collectAtRest } from '../runtime/collect-at-rest.ts'
import { messageOf } from '../runtime/errors.ts'
import { createEventRecorder } from '../runtime/events.ts'
import { loadKubeConfig } from '../runtime/kubeconfig.ts'
import { LeaseLostError } from '../runtime/leader-election.ts'
import { onProcessEvents } from '../runtime/process-events.ts'
import { createTransport } from '../runtime/transport.ts'
import { startAux } from './aux/server.ts'
import { loadConfig } from './config.ts'
import { createController } from './controller.ts'
import { createElection } from './election.ts'
import type { HealthState } from './health.ts'
import { EVENT } from './kinds.ts'
import { createLearner } from './learn/learner.ts'
import { createLogger } from './log/logger.ts'
import { createRequestLog } from './log/request-log.ts'
import { createLazyloadMetrics } from './metrics.ts'
import { createPods } from './mesh/pods.ts'
import type { LazyloadOptions } from './options.ts'
import { createSource } from './source.ts'

/** What was learned last gets this time to be written at the end, milliseconds. */
const FLUSH_MS = 5000
const EVENTS_IN_FLIGHT = 2

/** Runs until SIGTERM or SIGINT. Throws what stops the start; a lost lease ends the process with exit code 1. */
export async function runLazyload(options: LazyloadOptions, version: string): Promise<void> {
  const config = loadConfig(options.config)
  const log = createLogger(config.log, options.logFormat)
  const requestLog = createRequestLog(log, config.log.requestVerbosity)
  const stop = onProcessEvents(log)
  if (config.notRun.length > 0) log.warn('modules of the bundle that this program does not run', { modules: config.notRun })
  if (config.unknown.length > 0) log.warn('settings without effect', { settings: config.unknown })
  const connection = { loadConfig: () => loadKubeConfig(options.kubeconfig), userAgent: `slime-lazyload/${version} (${options.podName})` }
  const election = createElection(config, options, connection, log)
  const metrics = createLazyloadMetrics({
    workers: options.workers,
    election: election === undefined ? undefined : { name: config.name, isLeading: election.isLeading },
  })
  // the leader's writes ask for the lease; what is learned may be written by any replica
  const observe = (method: string, code: number | string): void => metrics.request(new URL(leaderTransport.server).host, method, code)
  const leaderTransport = requestLog.of(
    createTransport({ ...connection, observe, ...(election === undefined ? {} : { beforeSend: election.checkWrite }) }),
  )
  const anyTransport = requestLog.of(createTransport({ ...connection, observe }))
  const anyClient = createClient(anyTransport)
  // Events wait for each other; what is learned does not wait for Events
  const eventTransport = requestLog.of(createTransport({ ...connection, observe, concurrency: EVENTS_IN_FLIGHT }))
  const events = createEventRecorder({
    client: createClient(eventTransport),
    eventType: EVENT,
    component: 'slime-lazyload',
    instance: options.podName,
    onProblem: (error) => log.warn('event not sent', { error: messageOf(error) }),
  })
  const pods = createPods(anyClient)
  const namespaces = options.namespaces.length > 0 ? options.namespaces : config.namespaces
  const controller = createController({
    config,
    client: createClient(leaderTransport),
    podList: pods,
    events,
    log,
    metrics,
    workers: options.workers,
    namespaces,
    servedBy: `${options.podNamespace ?? config.slimeNamespace}/${config.name}`,
  })
  const { caches } = controller
  const learner = createLearner({
    client: anyClient,
    fences: caches.fences,
    inScope: controller.inScope,
    isExternal: caches.knownHosts.isExternal,
    // what was learned last is written after the lease was let go: then the rest is for the next leader to say
    alsoStored: (fence) => (election?.isLeading() === false ? {} : controller.alsoStored(fence)),
    onLearned: (key, hosts) => {
      metrics.learned(hosts.length)
      log.info('learned', { fence: key, hosts: hosts.slice(0, 20) })
      const fence = caches.fences.get(key)
      if (fence !== undefined) events.record(fence, 'Normal', 'Learned', `${key} calls ${hosts.join(', ')}`)
    },
    onProblem: (fence, error) => {
      metrics.learnFailed()
      log.warn('learned hosts not written', { fence, error: messageOf(error) })
    },
    onFull: (fence) => log.warn('fence takes no more hosts', { fence }),
  })
  metrics.watchQueue(controller.queue)
  metrics.gauge('pending_hosts', 'Learned hosts that are not written yet.', learner.pending)
  metrics.gauge('fences', 'ServiceFences known.', () => caches.fences.size())

  log.info('starting', { version, module: config.name, server: leaderTransport.server, source: config.source, mode: config.mode })
  const source = createSource({
    config,
    controller,
    learner,
    pods,
    namespaces,
    metrics,
    log,
  })
  const health: HealthState = { informers: caches.informers, election, logSource: source.logProblem, prometheus: source.queryProblem }
  const aux = await startAux({ config, health, metrics, log, requestLog, fences: caches.fences.values, client: anyClient })
  const watchesEnd = new AbortController()
  const watching = controller.watch(watchesEnd.signal)
  collectAtRest(
    {
      worked: () => controller.worked() + learner.written(),
      isBusy: () => !caches.fences.synced() || controller.queue.running().length > 0,
    },
    watchesEnd.signal,
  )
  const learning = learner.run()
  try {
    await controller.whenSynced(stop)
    // before that nobody knows whose an address is
    if (!stop.aborted) await source.listen()
    await controller.whenListed(stop)
    const work = async (signal: AbortSignal): Promise<void> => {
      await Promise.all([controller.work(signal), source.ask(signal)])
    }
    if (election === undefined) await work(stop)
    else await election.lead(stop, work)
    source.close()
    await learner.close(FLUSH_MS)
    await events.flush()
    log.info('stopped')
  } catch (error) {
    if (!(error instanceof LeaseLostError)) throw error
    // another replica may lead by now: what this process knows is worth nothing any more
    log.error('lease lost, exiting', { error: error.message })
    await exit(log)
  } finally {
    watchesEnd.abort()
    source.close()
    await learner.close(0)
    aux.close()
    await Promise.all([watching, learning])
    for (const transport of [leaderTransport, anyTransport, eventTransport]) transport.close()
    election?.close()
    log.end()
  }
}

/** With exit code 1, once the last line is written. */
async function exit(log: Logger): Promise<never> {
  await new Promise<void>((resolve) => {
    listenOnce(log, 'finish', 'log', resolve)
    log.end()
    after(1000, 'log', resolve)
  })
  process.exit(1)
}
