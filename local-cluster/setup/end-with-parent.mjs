/**
 * Preloaded into every command that bootstrap.mjs starts (`node --import`): ends the command when bootstrap.mjs is gone, also when
 * that was killed with `kill -9` and could not pass anything on. Does nothing in the processes that the command starts itself.
 */
const CHECK_EVERY_MS = 500
const parent = process.ppid

if (process.env['SLIMEBOOT_PARENT_PID'] === String(parent)) {
  setInterval(() => {
    if (process.ppid !== parent) process.exit(1)
  }, CHECK_EVERY_MS).unref()
}
