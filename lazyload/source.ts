/** Where calls are learned from: the access log, received by every replica, or Prometheus, asked by the leader. */
import type { Logger } from 'winston'
import { messageOf } from '../runtime/errors.ts'
import { createCallersOf } from './accesslog/callers.ts'
import { destinationsOf } from './accesslog/destination.ts'
import { grantOf } from './accesslog/peers.ts'
import { createPodCallers } from './accesslog/pod-callers.ts'
import { type AccessLogServer, startAccessLogServer } from './accesslog/server.ts'
import { createAccessLogSource } from './accesslog/source.ts'
import type { LazyloadConfig } from './config.ts'
import type { LazyloadController } from './controller.ts'
import type { Learner } from './learn/learner.ts'
import { FROM_PROXY, isProxyAddress } from './mesh/injected.ts'
import { createPodLookup } from './mesh/pod-lookup.ts'
import type { Pods } from './mesh/pods.ts'
import type { LazyloadMetrics } from './metrics.ts'
import { createCallers } from './prometheus/callers.ts'
import { createPrometheusClient } from './prometheus/client.ts'
import { createPoller } from './prometheus/poller.ts'
import { createProblemLog } from './prometheus/problem-log.ts'

export interface SourceOptions {
  readonly config: LazyloadConfig
  readonly controller: LazyloadController
  readonly learner: Learner
  readonly pods: Pods
  /** Served namespaces; empty: all. */
  readonly namespaces: readonly string[]
  readonly metrics: LazyloadMetrics
  readonly log: Logger
}

export interface Source {
  /** Opens the port for access logs. Throws an Error that says why it cannot. */
  readonly listen: () => Promise<void>
  /** Asks Prometheus until `signal` aborts. */
  readonly ask: (signal: AbortSignal) => Promise<void>
  /** What is wrong with it; undefined where it is not used. */
  readonly logProblem: (() => string | undefined) | undefined
  readonly queryProblem: (() => string | undefined) | undefined
  readonly close: () => void
}

const nothing = async (): Promise<void> => {}

export function createSource(options: SourceOptions): Source {
  return options.config.source === 'accesslog' ? createLogSource(options) : createQuerySource(options)
}

function createLogSource({ config, controller, learner, pods, namespaces, metrics, log }: SourceOptions): Source {
  const { selecting } = controller
  const { routes, askedHosts, endpoints } = controller.caches
  const { address, checkPeers } = config.logSource
  const peers = {
    mode: config.mode,
    clusterNamespace: config.clusterGsNamespace ?? config.slimeNamespace,
    servicesOf: endpoints.servicesOf,
    check: checkPeers,
  }
  const destinations = { hostsFor: askedHosts.hostsFor, destinationsOf: routes.destinationsOf }
  const lookup = createPodLookup({
    pods,
    onAnswer: (place, sender, found) => podCallers.answer(place, sender, found),
    onAllowed: () => controller.lookAtPods(),
    onProblem: (place, error) => log.warn('pods not listed', { ...(place === '' ? {} : { namespace: place }), error: messageOf(error) }),
  })
  const podCallers = createPodCallers({
    lookup,
    selecting,
    destinationsOf: (entry, namespace) => destinationsOf(entry, namespace, destinations),
    isNew: learner.isNew,
    learn: learner.learn,
    observe: metrics.entries,
  })
  const source = createAccessLogSource({
    ...destinations,
    servicesOf: endpoints.servicesOf,
    callersOf: createCallersOf({ selecting, namespaces }),
    lookUp: podCallers.take,
    learn: learner.learn,
    observe: metrics.entries,
  })
  let server: AccessLogServer | undefined
  const refused = new Set<string>()
  metrics.gauge('accesslog_streams', 'Open streams of global-sidecars.', () => server?.streams() ?? 0)

  function onRefused(sender: string): void {
    metrics.refused()
    if (refused.has(sender)) return
    if (refused.size >= 1000) refused.clear()
    refused.add(sender)
    log.warn('access log refused: not from a global-sidecar', {
      address: sender,
      remedy: isProxyAddress(sender) ? FROM_PROXY : 'general.checkLogSource: false, where the network hides addresses',
    })
  }

  return {
    async listen() {
      if (config.mode === 'no') log.warn('nobody sends access logs without a global-sidecar', { remedy: 'metric_source_type: prometheus' })
      try {
        server = await startAccessLogServer({
          address,
          grantOf: (sender) => grantOf(sender, peers),
          receive: (message, grant) => {
            metrics.message()
            source.receive(message, grant)
          },
          onRefused,
        })
      } catch (error) {
        throw new Error(`access log: cannot listen on port ${address.port}: ${messageOf(error)}. Set global.misc.log_source_port.`, {
          cause: error,
        })
      }
      log.info('receiving access logs', { port: server.port })
    },
    ask: nothing,
    logProblem: () => (server === undefined ? 'not listening yet: the watches are not listed' : undefined),
    queryProblem: undefined,
    close() {
      server?.close()
      lookup.close()
    },
  }
}

function createQuerySource({ config, controller, learner, metrics, log }: SourceOptions): Source {
  if (config.prometheus === undefined)
    return { listen: nothing, ask: nothing, logProblem: undefined, queryProblem: undefined, close: () => {} }
  const problems = createProblemLog(log)
  const poller = createPoller({
    client: createPrometheusClient(config.prometheus),
    config: config.prometheus,
    ...createCallers({ ...controller.caches, ...controller, serviceLabel: config.serviceLabel }),
    isExternal: controller.caches.knownHosts.isExternal,
    resolve: (name, namespace) => controller.caches.askedHosts.hostsFor(name, namespace)[0],
    onHosts: learner.learn,
    onFinding: (key, finding) => {
      controller.take(key, finding)
      problems.tell(key, finding.problem?.message)
    },
    onQuery: metrics.query,
  })
  controller.onNewFence((key) => poller.askSoon(key))
  return {
    listen: nothing,
    ask: async (signal) => await poller.run(signal),
    logProblem: undefined,
    queryProblem: poller.problem,
    close: () => {},
  }
}
