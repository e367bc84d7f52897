// Loaded before a program: how long its event loop stood still, in processor time of its thread, so that a busy machine changes nothing.
// A line for each fifth of a second: time (milliseconds since 1970), longest turn (milliseconds).
import { appendFileSync } from 'node:fs'

const file = process.env.STANDSTILL_FILE ?? '/dev/null'
const milliseconds = () => {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}
// from the first turn on: what is loaded before that holds up nobody
let last = Infinity
let longest = 0
setInterval(() => {
  const now = milliseconds()
  longest = Math.max(longest, now - last)
  last = now
}, 2).unref()
setInterval(() => {
  appendFileSync(file, `${Date.now()} ${longest.toFixed(1)}\n`)
  longest = 0
}, 200).unref()
