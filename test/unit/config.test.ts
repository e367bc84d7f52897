/** Flags of `slimeboot run`. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Command, CommanderError } from 'commander'
import { withConfigOptions } from '../../operator/cli/run-options.ts'
import { configOf, type OperatorConfig, type RunFlags } from '../../operator/config.ts'

/** The configuration of these arguments; without the machine's environment. */
function configFrom(...args: readonly string[]): OperatorConfig {
  const before = process.env
  process.env = {}
  try {
    const command = withConfigOptions(new Command('run'))
      .exitOverride()
      .configureOutput({ writeErr: () => {} })
    return configOf(command.parse(args, { from: 'user' }).opts<RunFlags>())
  } finally {
    process.env = before
  }
}

test('outside a pod one process works by itself and serves nothing', () => {
  const { leaderElection, healthAddress } = configFrom()
  assert.deepEqual({ leaderElection, healthAddress }, { leaderElection: undefined, healthAddress: undefined })
})

test("leader election has client-go's times, and any others that fit", () => {
  const flags = ['--leader-elect', '--leader-elect-namespace', 'mesh-operator']
  const timing = { leaseDurationMs: 15_000, renewDeadlineMs: 10_000, retryPeriodMs: 2000 }
  assert.deepEqual(configFrom(...flags).leaderElection, { namespace: 'mesh-operator', name: 'slime-boot', timing })
  assert.deepEqual(configFrom(...flags, '--lease-duration', '1m', '--leader-elect-name', 'other').leaderElection, {
    namespace: 'mesh-operator',
    name: 'other',
    timing: { ...timing, leaseDurationMs: 60_000 },
  })
  assert.equal(configFrom('--leader-elect=false').leaderElection, undefined)
})

test('flags that cannot go together are refused with the flag to change', () => {
  const flags = ['--leader-elect', '--leader-elect-namespace', 'mesh-operator']
  assert.throws(() => configFrom('--leader-elect'), /--leader-elect-namespace/)
  assert.throws(() => configFrom(...flags, '--renew-deadline', '15s'), /--lease-duration.*greater than the renew deadline/)
  assert.throws(() => configFrom(...flags, '--selector', 'shard=a'), /--leader-elect-name/)
  assert.equal(configFrom(...flags, '--selector', 'shard=a', '--leader-elect-name', 'a').leaderElection?.name, 'a')
})

test('--health-address is a host and a port, a port on all addresses, or off', () => {
  for (const [text, address] of [
    ['0.0.0.0:8080', { host: '0.0.0.0', port: 8080 }],
    [':9', { port: 9 }],
    ['[::1]:65535', { host: '::1', port: 65_535 }],
    ['localhost:0', { host: 'localhost', port: 0 }],
    ['0', undefined],
  ] as const)
    assert.deepEqual(configFrom('--health-address', text).healthAddress, address, text)
  for (const wrong of ['8080', 'host', 'host:', ':65536', '::1:80', ':-1'])
    assert.throws(() => configFrom('--health-address', wrong), CommanderError, wrong)
})
