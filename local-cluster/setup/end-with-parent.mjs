/**
 * Preloaded (`node --import`) into the commands that bootstrap.mjs starts and into test processes: ends the process when the one
 * that started it is gone, also when that was killed with `kill -9` and could not pass anything on. The variable SLIMEBOOT_PARENT_PID
 * names the starter; in processes further down it names somebody else and nothing happens.
 */
const CHECK_EVERY_MS = 500
const parent = process.ppid

if (process.env['SLIMEBOOT_PARENT_PID'] === String(parent)) {
  setInterval(() => {
    if (process.ppid !== parent) process.exit(1)
  }, CHECK_EVERY_MS).unref()
}
