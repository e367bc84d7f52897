/** `slimeboot run`: the operator as a process. */
import { readFileSync } from 'node:fs'
import { Command } from 'commander'
import type { JsonObject } from '../../runtime/object.ts'
import { createClient } from '../../runtime/client.ts'
import { messageOf } from '../../runtime/errors.ts'
import { createEventRecorder } from '../../runtime/events.ts'
import { loadKubeConfig } from '../../runtime/kubeconfig.ts'
import { createTransport } from '../../runtime/transport.ts'
import { EVENT } from '../api/kinds.ts'
import { configOf, type OperatorConfig, withConfigOptions } from '../config.ts'
import { createController } from '../controller/controller.ts'
import { createLogger } from '../logger.ts'
import { VERSION } from '../version.ts'

export function runCommand(): Command {
  return withConfigOptions(new Command('run'))
    .description('watch SlimeBoots and make the cluster match them, until SIGTERM')
    .action(async (options: Omit<OperatorConfig, 'podName'>) => {
      await run(configOf(options))
    })
}

async function run(config: OperatorConfig): Promise<void> {
  const log = createLogger({ level: config.logLevel, format: config.logFormat })
  const transport = createTransport({ loadConfig: () => loadKubeConfig(config.kubeconfig), userAgent: `slimeboot/${VERSION}` })
  const client = createClient(transport)
  const events = createEventRecorder({
    client,
    eventType: EVENT,
    component: 'slime-boot',
    instance: config.podName,
    onProblem: (error) => log.warn('event not sent', { error: messageOf(error) }),
  })
  const stop = new AbortController()
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      log.info('stopping', { signal })
      stop.abort()
    })
  }
  log.info('starting', { version: VERSION, server: transport.server, namespaces: config.watchNamespaces.join(',') || 'all' })
  const controller = createController({
    client,
    events,
    log,
    watchNamespaces: config.watchNamespaces,
    selector: config.selector,
    workers: config.workers,
    meshSettle: config.meshSettle,
    ...(config.defaults === undefined ? {} : { operatorDefaults: readDefaults(config.defaults) }),
  })
  await controller.run(stop.signal)
  await events.flush()
  transport.close()
  log.info('stopped')
}

function readDefaults(file: string): JsonObject {
  const [document] = [JSON.parse(readFileSync(file, "utf8"))]
  return (document ?? {}) as JsonObject
}
