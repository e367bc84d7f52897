/** Values of command line flags, parsed for commander: a wrong one throws InvalidArgumentError, which says how to write it. */
import { InvalidArgumentError } from 'commander'
import type { Address } from './health-server.ts'

/** `host:port`, `:port` (all addresses), `[::1]:port`; false for `0`. */
export function parseAddress(text: string): Address | false {
  if (text === '0' || text === '') return false
  const match = /^(?:\[([^\]]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(text)
  const port = Number(match?.[3])
  if (match === null || port > 65_535) throw new InvalidArgumentError('Write host:port, :port for all addresses, or 0 for none.')
  const host = match[1] ?? match[2] ?? ''
  return host === '' ? { port } : { host, port }
}

/** `true` or `false`. */
export function parseBoolean(text: string): boolean {
  if (text !== 'true' && text !== 'false') throw new InvalidArgumentError('Write true or false.')
  return text === 'true'
}

/** Parts between commas, without spaces around them; empty ones are left out. */
export function parseList(text: string): readonly string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
}

/** A whole number from 1 to 1000. */
export function parseCount(text: string): number {
  const count = Number(text)
  if (!Number.isInteger(count) || count < 1 || count > 1000) throw new InvalidArgumentError('Write a whole number from 1 to 1000.')
  return count
}

/** Milliseconds of `500ms`, `10s`, `2m`. */
export function parseDuration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text) ?? (text === '0' ? ['0', '0', 'ms'] : null)
  if (match === null) throw new InvalidArgumentError('Write a duration such as 500ms, 10s or 2m.')
  return Number(match[1]) * { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[match[2] as 'ms' | 's' | 'm' | 'h']
}
