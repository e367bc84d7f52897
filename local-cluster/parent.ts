/** A command that bootstrap.mjs started ends with it, also when that one is killed with `kill -9`. */

const CHECK_EVERY_MS = 500

/** Ends this process when the one that started it is gone. Does nothing in a process that bootstrap.mjs did not start. */
export function endWithParent(): void {
  const parent = process.ppid
  if (process.env['SLIMEBOOT_PARENT_PID'] !== String(parent)) return
  setInterval(() => {
    if (process.ppid !== parent) process.exit(1)
  }, CHECK_EVERY_MS).unref()
}
