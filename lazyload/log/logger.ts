/** Logs by winston: JSON lines, or text for people; to stdout, or to a rotated file instead (spec 6). */
import type { Writable } from 'node:stream'
import winston, { type Logger } from 'winston'
import type { LogConfig } from '../../module/config.ts'
import { createRotatingFile } from './rotating-file.ts'

export type LogFormat = 'json' | 'text'

/** `out` takes the lines, and those that the file cannot. */
export function createLogger(
  { level, rotate }: Pick<LogConfig, 'level' | 'rotate'>,
  format: LogFormat,
  out: Writable = process.stdout,
): Logger {
  const { combine, timestamp, json, printf, errors } = winston.format
  const text = printf(
    ({ timestamp: time, level: name, message, ...rest }) =>
      `${String(time).slice(11, 23)} ${name.padEnd(5)} ${String(message)}${fieldsText(rest)}`,
  )
  const stream = rotate === undefined ? out : createRotatingFile(rotate, out)
  return winston.createLogger({
    level,
    format: combine(errors({ stack: true }), timestamp(), format === 'json' ? json() : text),
    transports: [new winston.transports.Stream({ stream })],
  })
}

function fieldsText(fields: Readonly<Record<string, unknown>>): string {
  return Object.entries(fields)
    .map(([name, value]) => ` ${name}=${typeof value === 'string' && !/[\s"]/.test(value) ? value : JSON.stringify(value)}`)
    .join('')
}
