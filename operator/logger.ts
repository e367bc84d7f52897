/** Logs by winston: JSON lines in a pod, readable on a terminal. Library code never logs; it returns facts. */
import winston, { type Logger } from 'winston'

export type LogFormat = 'json' | 'text'

export function createLogger(options: { readonly level: string; readonly format: LogFormat }): Logger {
  const { combine, timestamp, json, printf, errors } = winston.format
  const text = printf(
    ({ timestamp: time, level, message, ...rest }) =>
      `${String(time).slice(11, 23)} ${level.padEnd(5)} ${String(message)}${fieldsText(rest)}`,
  )
  return winston.createLogger({
    level: options.level,
    format: combine(errors({ stack: true }), timestamp(), options.format === 'json' ? json() : text),
    // stdout is for what a command prints
    transports: [new winston.transports.Console({ stderrLevels: ['error', 'warn', 'info', 'debug'] })],
  })
}

function fieldsText(fields: Readonly<Record<string, unknown>>): string {
  return Object.entries(fields)
    .map(
      ([name, value]) => ` ${name.replace(/_$/, '')}=${typeof value === 'string' && !/[\s"]/.test(value) ? value : JSON.stringify(value)}`,
    )
    .join('')
}
