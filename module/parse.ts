/** What a single value means. Each throws an Error that says what it must be; whoever reads adds the place and what was found. */
import { isIP } from 'node:net'
import type { Address } from '../runtime/health-server.ts'
import { isLabelKey, isNamespace } from './names.ts'

const FLAGS: ReadonlyMap<string, boolean> = new Map([
  ...['true', 'on', 'yes'].map((word) => [word, true] as const),
  ...['false', 'off', 'no'].map((word) => [word, false] as const),
])
const UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const
const LONGEST_PAUSE_MS = 24 * 3_600_000

export function parseText(value: unknown): string {
  if (typeof value === 'object') throw new Error('must be text')
  return scalarText(value)
}

/** Boolean, or text: on, off, yes, no, true, false. */
export function parseFlag(value: unknown): boolean {
  const flag = FLAGS.get(scalarText(value).toLowerCase())
  if (flag === undefined) throw new Error('must be true or false')
  return flag
}

/** Whole and positive. */
export function parseCount(value: unknown): number {
  const count = typeof value === 'object' ? Number.NaN : Number(value)
  if (!Number.isSafeInteger(count) || count < 1) throw new Error('must be a whole number greater than 0')
  return count
}

/** `10s`, `5m`, `24h`: milliseconds. */
export function parseDuration(value: unknown): number {
  const match = /^(\d{1,9}(?:\.\d{1,9})?)(ms|s|m|h)$/.exec(scalarText(value))
  const duration = Number(match?.[1]) * UNITS[match?.[2] as keyof typeof UNITS]
  if (!(duration > 0)) throw new Error('must be a duration such as 30s, 5m or 24h')
  return duration
}

/** A duration of a day at most. */
export function parsePause(value: unknown): number {
  const pause = parseDuration(value)
  if (pause > LONGEST_PAUSE_MS) throw new Error('must be at most 24h')
  return pause
}

/**
 * One of the words in `choices`, which maps spellings to meanings; `words` names those that one should write. YAML 1.1 makes booleans of
 * `no`, `off` and `on`.
 */
export function choiceOf<Meaning>(choices: ReadonlyMap<string, Meaning>, words?: string): (value: unknown) => Meaning {
  return (value) => {
    const meaning = choices.get(scalarText(value).toLowerCase())
    if (meaning === undefined) throw new Error(`must be ${words ?? `one of ${[...choices.keys()].join(', ')}`}`)
    return meaning
  }
}

/** A list, or text separated by commas. */
export function parseList(value: unknown): readonly string[] {
  const items = Array.isArray(value) ? value.map(parseText) : parseText(value).split(',')
  return items.map((item) => item.trim()).filter((item) => item !== '')
}

export function parseLabelKey(value: unknown): string {
  if (typeof value !== 'string' || !isLabelKey(value)) throw new Error('must be the key of a label')
  return value
}

export function parseNamespace(value: unknown): string {
  if (typeof value !== 'string' || !isNamespace(value)) throw new Error('must be the name of a namespace')
  return value
}

/** A port as number, from a whole number or its decimal text; undefined for anything else or outside 1–65535. */
export function parsePort(value: unknown): number | undefined {
  const port = typeof value === 'string' && /^[1-9]\d{0,4}$/.test(value) ? Number(value) : value
  return typeof port === 'number' && Number.isInteger(port) && port >= 1 && port <= 65535 ? port : undefined
}

/** `:8082`, `8082`, `127.0.0.1:8082`, `[::1]:8082`. */
export function parseAddress(value: unknown): Address {
  const match = /^(?:(?:\[([^\]]+)\]|([^:[\]]*)):)?(\d{1,5})$/.exec(scalarText(value))
  const port = Number(match?.[3])
  const host = match?.[1] ?? match?.[2] ?? ''
  if (match === null || port > 65_535 || (host !== '' && host !== 'localhost' && isIP(host) === 0))
    throw new Error('must be an address such as :8082')
  return { port, ...(host === '' ? {} : { host }) }
}

/** The same, where `0` means that nothing listens: undefined. */
export function parseAddressOrOff(value: unknown): Address | undefined {
  return scalarText(value) === '0' ? undefined : parseAddress(value)
}

/** Text, a number or a boolean as text; empty for anything else. */
function scalarText(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? String(value) : ''
}

/** A URL of Prometheus; user and password may stand in it. */
export function parseServer(value: unknown): URL {
  const text = scalarText(value)
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !['http:', 'https:'].includes(url.protocol))
    throw new Error('must be an address such as http://prometheus.istio-system:9090')
  try {
    decodeURIComponent(url.username + url.password)
  } catch {
    throw new Error('must have user and password in percent-encoding')
  }
  return url
}
