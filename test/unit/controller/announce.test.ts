import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Logger } from 'winston'
import { announce } from '../../../operator/controller/announce.ts'
import { NOTHING, type Outcome } from '../../../operator/controller/outcome.ts'
import { statusOf } from '../../../operator/controller/status.ts'
import type { KubeObject } from '../../../runtime/object.ts'

const waitingFor = (...waiting: readonly string[]): Outcome => ({ ...NOTHING, total: 5, waiting })

/** Log lines as `level message`, and Events as `type reason`, of the outcomes in turn; each is stored as the status before the next. */
function told(outcomes: readonly Outcome[]): readonly string[] {
  const said: string[] = []
  const line = (level: string, message: string): number => said.push(`${level} ${message}`)
  const log = { log: line, info: (message: string) => line('info', message) } as unknown as Logger
  const events = { record: (_: KubeObject, type: string, reason: string) => void said.push(`${type} ${reason}`), flush: async () => {} }
  let boot: KubeObject = { apiVersion: 'v1', kind: 'SlimeBoot', metadata: { name: 'b', namespace: 'n', generation: 1 } }
  for (const outcome of outcomes) {
    announce(log, events, boot, outcome, 1)
    boot = { ...boot, status: statusOf(boot, outcome, '2026-01-01T00:00:00Z') }
  }
  return said
}

test('the steps of a rollout are one line of the log, whatever their number', () => {
  const steps = [waitingFor('1 of 3'), waitingFor('2 of 3'), waitingFor('3 of 3'), { ...NOTHING, total: 5 }]
  assert.deepEqual(
    told(steps).filter((line) => !line.startsWith('debug')),
    ['info not ready', 'Normal Ready', 'info ready'],
  )
})

test('what was said already is not said again', () => {
  const ready = { ...NOTHING, total: 5 }
  assert.deepEqual(told([ready, ready, ready]), ['Normal Ready', 'info ready'])
})
