/** What the auxiliary port serves beside health and metrics (spec 6): the log level, and the reset of learned hosts. */
import type { IncomingMessage } from 'node:http'
import type { Logger } from 'winston'
import { messageOf } from '../../runtime/errors.ts'
import type { Answer } from '../../runtime/health-server.ts'
import type { KubeObject } from '../../runtime/object.ts'

export interface RouteOptions {
  readonly log: Logger
  /** Name of the module, first part of its own paths. */
  readonly module: string
  readonly fences: () => Iterable<KubeObject>
  /** True when the fence knew something. */
  readonly reset: (fence: KubeObject) => Promise<boolean>
}

const LEVELS: Readonly<Record<string, string>> = { debug: 'debug', info: 'info', warn: 'warn', warning: 'warn', error: 'error' }
const REMEDY = 'Only from the pod itself: kubectl port-forward, or kubectl debug.'

/**
 * `GET /log/slime`, `PUT /log/slime?level=debug`, `POST /<module>/debug/svfReset?ns=NAMESPACE[&name=FENCE]` (also GET, as upstream).
 * The port has no authentication, so what changes something is only for callers on the pod's loopback.
 */
export function createRoutes({
  log,
  module,
  fences,
  reset,
}: RouteOptions): (request: IncomingMessage, url: URL) => Promise<Answer | undefined> {
  function logLevel(request: IncomingMessage, level: string | null): Answer {
    if (request.method === 'GET') return { code: 200, text: `Slime log level is ${log.level}.\n` }
    if (request.method !== 'PUT' && request.method !== 'POST') return { code: 405, text: 'Wrong request method\n' }
    const wanted = LEVELS[level?.toLowerCase() ?? '']
    if (wanted === undefined) return { code: 400, text: `level must be one of debug, info, warning, error; got "${level ?? ''}"\n` }
    if (!isLocal(request)) return { code: 403, text: `${REMEDY}\n` }
    log.info('log level set', { level: wanted })
    log.level = wanted
    return { code: 200, text: `Slime log level is ${wanted}.\n` }
  }

  async function svfReset(request: IncomingMessage, params: URLSearchParams): Promise<Answer> {
    const [namespace, name] = [params.get('ns') ?? '', params.get('name') ?? '']
    if (namespace === '') return { code: 400, text: 'ns is required: the namespace of the fences to reset\n' }
    if (!isLocal(request)) return { code: 403, text: `${REMEDY}\n` }
    const found = [...fences()].filter(({ metadata }) => metadata.namespace === namespace && (name === '' || metadata.name === name))
    if (name !== '' && found.length === 0) return { code: 404, text: `ServiceFence/${namespace}/${name} does not exist\n` }
    const results = await Promise.allSettled(found.map(reset))
    const failures = results.flatMap((result) => (result.status === 'rejected' ? [messageOf(result.reason)] : []))
    log.info('reset', { namespace, name, fences: found.length, failures: failures.length })
    return failures.length === 0
      ? { code: 200, text: 'succeed\n' }
      : { code: 500, text: `${failures.length} of ${found.length} failed: ${failures[0]}\n` }
  }

  return async (request, { pathname, searchParams }) => {
    if (pathname === '/log/slime') return logLevel(request, searchParams.get('level'))
    if (pathname === `/${module}/debug/svfReset` && ['GET', 'POST'].includes(request.method ?? ''))
      return await svfReset(request, searchParams)
    return undefined
  }
}

function isLocal({ socket }: IncomingMessage): boolean {
  const address = socket.remoteAddress?.replace(/^::ffff:/, '') ?? ''
  return address === '::1' || address.startsWith('127.')
}
