/** What the auxiliary port serves beside health and metrics (spec 6): the log level, and the reset of learned hosts. */
import type { IncomingMessage } from 'node:http'
import type { Logger } from 'winston'
import { messageOf } from '../../runtime/errors.ts'
import type { Answer } from '../../runtime/health-server.ts'
import type { KubeObject } from '../../runtime/object.ts'
import type { RequestLog } from '../log/request-log.ts'
import { strangerReason } from './local-caller.ts'

export interface RouteOptions {
  readonly log: Logger
  readonly requestLog: RequestLog
  /** Name of the module, first part of its own paths. */
  readonly module: string
  readonly fences: () => Iterable<KubeObject>
  /** True when the fence knew something. */
  readonly reset: (fence: KubeObject) => Promise<boolean>
}

interface Level {
  readonly name: string
  /** For messages. */
  readonly choices: string
  readonly now: () => string | number
  /** False for a level that is none. */
  readonly set: (wanted: string) => boolean
}

const LEVELS: Readonly<Record<string, string>> = { debug: 'debug', info: 'info', warn: 'warn', warning: 'warn', error: 'error' }

/**
 * `GET /log/slime`, `PUT /log/slime?level=debug`, the same with a number for `/log/k`,
 * `POST /<module>/debug/svfReset?ns=NAMESPACE[&name=FENCE]` (also GET, as upstream).
 * The port has no authentication, so what changes something is only for callers inside the pod (local-caller.ts).
 */
export function createRoutes({
  log,
  requestLog,
  module,
  fences,
  reset,
}: RouteOptions): (request: IncomingMessage, url: URL) => Promise<Answer | undefined> {
  function level(request: IncomingMessage, { name, choices, now, set }: Level, wanted: string): Answer {
    if (request.method === 'GET') return { code: 200, text: `${name} level is ${now()}.\n` }
    if (request.method !== 'PUT' && request.method !== 'POST') return { code: 405, text: 'Wrong request method\n' }
    const stranger = strangerReason(request)
    if (stranger !== undefined) return { code: 403, text: `${stranger}\n` }
    if (!set(wanted)) return { code: 400, text: `level must be ${choices}; got "${wanted}"\n` }
    log.info('level set', { of: name, level: now() })
    return { code: 200, text: `${name} level is ${now()}.\n` }
  }

  const slime: Level = {
    name: 'Slime log',
    choices: 'one of debug, info, warning, error',
    now: () => log.level,
    set(wanted) {
      const known = LEVELS[wanted.toLowerCase()]
      log.level = known ?? log.level
      return known !== undefined
    },
  }
  const klog: Level = {
    name: 'Klog',
    choices: 'a whole number',
    now: () => requestLog.verbosity,
    set(wanted) {
      if (!/^\d{1,2}$/.test(wanted)) return false
      requestLog.verbosity = Number(wanted)
      return true
    },
  }

  async function svfReset(request: IncomingMessage, params: URLSearchParams): Promise<Answer> {
    const [namespace, name] = [params.get('ns') ?? '', params.get('name') ?? '']
    if (namespace === '') return { code: 400, text: 'ns is required: the namespace of the fences to reset\n' }
    const stranger = strangerReason(request)
    if (stranger !== undefined) return { code: 403, text: `${stranger}\n` }
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
    if (pathname === '/log/slime') return level(request, slime, searchParams.get('level') ?? '')
    if (pathname === '/log/k') return level(request, klog, searchParams.get('level') ?? '')
    if (pathname === `/${module}/debug/svfReset` && ['GET', 'POST'].includes(request.method ?? ''))
      return await svfReset(request, searchParams)
    return undefined
  }
}
