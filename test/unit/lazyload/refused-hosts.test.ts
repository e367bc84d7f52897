/** Which of a Sidecar's hosts the API server refuses: found with few questions, and not asked again for a while. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createRefusedHosts, REFUSED_FOR_MS, type Written } from '../../../lazyload/sidecar/refused-hosts.ts'
import { ApiError, ConnectionError } from '../../../runtime/errors.ts'

const refusal = new ApiError('PATCH /sidecars', 422, { kind: 'Status', message: 'that is no host', reason: 'Invalid' })
const many = Array.from({ length: 500 }, (_, index) => `*/h${index}.example.com`)

/** A server that refuses Sidecars with one of the `bad` hosts. */
function server(...bad: readonly string[]) {
  const state = { now: 0, writes: 0, questions: 0, bad: new Set(bad), live: [] as readonly string[] }
  const filter = createRefusedHosts(() => state.now)
  const write = async (hosts: readonly string[]): Promise<Written<string>> =>
    await filter.write('n/f', hosts, {
      write: async (list) => {
        state.writes++
        if (list.some((host) => state.bad.has(host))) throw refusal
        state.live = list
        return 'changed'
      },
      accepts: async (list) => {
        state.questions++
        return !list.some((host) => state.bad.has(host))
      },
      accepted: state.live,
    })
  return { state, write }
}

test('the refused are left out, the others stay in their order, with few questions', async () => {
  const bad = [many[3]!, many[250]!, many[499]!]
  const { state, write } = server(...bad)
  assert.deepEqual(await write(many), { outcome: 'changed', refused: bad, failure: 'that is no host' })
  assert.deepEqual(
    state.live,
    many.filter((host) => !bad.includes(host)),
  )
  assert.ok(state.questions <= 40, `${state.questions} questions`)
})

test('a host that comes to a Sidecar that was taken is found without a question about the others', async () => {
  const { state, write } = server('*/bad')
  await write(many)
  assert.deepEqual((await write(['*/bad', ...many])).refused, ['*/bad'])
  assert.deepEqual([state.live.length, state.questions], [500, 1])
})

test('what is refused is left out without asking, for a time; then it is tried again', async () => {
  const { state, write } = server('*/bad')
  await write(['*/bad', '*/good'])
  const { writes, questions } = state
  assert.deepEqual(await write(['*/bad', '*/good']), { outcome: 'changed', refused: ['*/bad'], failure: 'that is no host' })
  assert.deepEqual([state.writes - writes, state.questions - questions], [1, 0])
  state.bad.clear()
  state.now += REFUSED_FOR_MS
  assert.deepEqual(await write(['*/bad', '*/good']), { outcome: 'changed', refused: [], failure: '' })
  assert.deepEqual(state.live, ['*/bad', '*/good'])
})

test('where no host is to blame, or too many are, the error is thrown as it is', async () => {
  const all = server(...many)
  await assert.rejects(all.write(many), refusal)
  const taken = server('*/bad')
  await taken.write(['*/a', '*/b'])
  taken.state.bad.add('*/a')
  await assert.rejects(taken.write(['*/a', '*/c']), refusal)
  const away = createRefusedHosts()
  const lost = new ConnectionError('PATCH /sidecars', new Error('reset'))
  const fail = async (): Promise<never> => await Promise.reject(lost)
  await assert.rejects(away.write('n/f', many, { write: fail, accepts: fail, accepted: [] }), lost)
})
