/** Waiting for the user to end a command. */

export interface EndSignal extends Disposable {
  /** Resolves with the first SIGINT, SIGTERM or SIGHUP. */
  readonly received: Promise<NodeJS.Signals>
}

/** Listens from now on; keeps the process alive until a signal came or it is disposed. */
export function untilSignal(): EndSignal {
  const { promise, resolve } = Promise.withResolvers<NodeJS.Signals>()
  const stay = setInterval(() => {}, 60_000)
  const stop = () => clearInterval(stay)
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, resolve)
  return { received: promise.finally(stop), [Symbol.dispose]: stop }
}
