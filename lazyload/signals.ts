/** Ends of the process: signals, and errors that nobody handles. */
import type { Logger } from 'winston'

/** Aborts at the first SIGTERM or SIGINT; the second ends the process at once. A rejection that nobody handles is a bug: exit code 1. */
export function onSignals(log: Logger): AbortSignal {
  const stop = new AbortController()
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (stop.signal.aborted) process.exit(1)
      log.info('stopping', { signal })
      stop.abort()
    })
  }
  for (const event of ['unhandledRejection', 'uncaughtException'] as const) {
    process.on(event, (error: unknown) => {
      log.error(`${event}: a bug, exiting`, { error: error instanceof Error ? error.stack : String(error) })
      setTimeout(() => process.exit(1), 100)
    })
  }
  return stop.signal
}
