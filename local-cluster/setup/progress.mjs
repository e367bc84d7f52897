/**
 * Progress of a step that may take long: one line that updates itself on a terminal, a new line every ten seconds elsewhere
 * (a CI log). Always on standard error. Plain JavaScript, because bootstrap.mjs runs it before anything is installed.
 */

const LINE_EVERY_MS = 10_000
const REDRAW_EVERY_MS = 250

/**
 * @typedef {object} Progress
 * @property {(detail: string) => void} update what is going on now, shown after the label
 * @property {(text: string) => void} print writes `text` to standard output, clear of the progress line
 * @property {(text?: string) => void} done ends the step with its result and duration
 * @property {() => void} stop ends the step without a line of its own (an error follows, or there is nothing to say)
 */

/**
 * Starts a step. With `quietMs` nothing is shown before that many milliseconds: a step that is over by then says nothing at all.
 * @param {string} label what is done, for example `Building the control plane`
 * @param {{ quietMs?: number }} [options]
 * @returns {Progress}
 */
export function startProgress(label, { quietMs = 0 } = {}) {
  const stream = process.stderr
  const started = Date.now()
  let detail = ''
  let shown = false
  let lastLineAt = started

  const line = () => `${label}${detail === '' ? '' : `: ${detail}`} (${elapsed(Date.now() - started)})`
  const draw = () => {
    if (Date.now() - started < quietMs) return
    if (stream.isTTY) stream.write(`\r\x1b[K${fit(line(), stream.columns)}`)
    else if (!shown || Date.now() - lastLineAt >= LINE_EVERY_MS) {
      stream.write(`${shown ? line() : `${label} …`}\n`)
      lastLineAt = Date.now()
    }
    shown = true
  }
  const end = () => {
    clearInterval(timer)
    if (shown && stream.isTTY) stream.write('\r\x1b[K')
  }

  if (quietMs === 0) draw()
  const timer = setInterval(draw, REDRAW_EVERY_MS)
  timer.unref()
  return {
    update: (text) => void (detail = text),
    print: (text) => {
      if (shown && stream.isTTY) stream.write('\r\x1b[K')
      process.stdout.write(text)
      lastLineAt = Date.now()
    },
    done: (text = 'done') => {
      end()
      if (shown || quietMs === 0) stream.write(`${label}: ${text} (${elapsed(Date.now() - started)})\n`)
    },
    stop: end,
  }
}

/**
 * A duration as people say it: `4.2 s`, `2 min 05 s`.
 * @param {number} ms
 */
export function elapsed(ms) {
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`
  const seconds = Math.round(ms / 1000)
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, '0')} s`
}

/** @param {string} text @param {number} [columns] */
function fit(text, columns = 80) {
  return text.length < columns ? text : `${text.slice(0, columns - 2)}…`
}
