/** Waiting for the user to end a command. */

/** Resolves with the first SIGINT, SIGTERM or SIGHUP, and keeps the process alive until then. */
export async function untilSignal(): Promise<NodeJS.Signals> {
  const { promise, resolve } = Promise.withResolvers<NodeJS.Signals>()
  const stay = setInterval(() => {}, 60_000)
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, resolve)
  const signal = await promise
  clearInterval(stay)
  return signal
}
