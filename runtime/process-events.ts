/** What the system and Node tell the process: signals end it in peace; an error that nobody handles is counted and told, and it goes on. */
import { listen } from './callbacks.ts'
import { panicked, type Panic, tellPanicsTo } from './panics.ts'

export interface ProcessLog {
  info(message: string, fields: object): unknown
  warn(message: string, fields: object): unknown
  error(message: string, fields: object): unknown
}

/**
 * Aborts at the first SIGTERM or SIGINT; the second ends the process at once, exit code 1.
 *
 * An exception that reaches the process comes from a callback of a library, or from a promise that nobody waits for. It does not end the
 * process: who can provoke it once can do so again after each restart. Every loop that the work depends on hangs on the promise of the
 * program itself, whose end is the end of the process, and state is read anew from the cluster for each key.
 */
export function onProcessEvents(log: ProcessLog): AbortSignal {
  const stop = new AbortController()
  for (const signal of ['SIGTERM', 'SIGINT']) {
    listen(process, signal, signal, () => {
      if (stop.signal.aborted) {
        log.warn('stopped at once', { signal })
        process.exit(1)
      }
      log.info('stopping', { signal })
      stop.abort()
    })
  }
  tellPanicsTo(({ kind, place, error, unsaid }: Panic) =>
    log.error('unexpected error; going on. Please report it', { callback: kind, place, error, ...(unsaid === 0 ? {} : { unsaid }) }),
  )
  for (const event of ['unhandledRejection', 'uncaughtException'])
    listen(process, event, event, (error: unknown) => panicked('process', event, error), 'process')
  // whoever read the log has gone: telling that in the log would be the next error
  for (const stream of [process.stdout, process.stderr]) listen(stream, 'error', 'output', () => {}, 'process')
  return stop.signal
}
