/** Which of a Sidecar's hosts the API server refuses: found with few questions, and not asked again for a while. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createRefusedHosts, REFUSED_FOR_MS, type Written } from '../../../lazyload/sidecar/refused-hosts.ts'
import { ApiError, ConnectionError } from '../../../runtime/errors.ts'

const refusal = new ApiError('PATCH /sidecars', 422, { kind: 'Status', message: 'that is no host', reason: 'Invalid' })
const CONSTANT = ['istio-system/*', 'mesh-operator/*']
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
      constant: CONSTANT,
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

test('what every Sidecar has is never left out, nor what was not asked about: too many refused hosts are an error', async () => {
  const bad = many.filter((_, index) => index % 7 === 0)
  const { state, write } = server(...bad)
  await assert.rejects(write([...many, ...CONSTANT]), refusal)
  assert.deepEqual(state.live, [])
  const { questions } = state
  await assert.rejects(write([...many, ...CONSTANT]), refusal)
  assert.equal(state.questions, questions, 'not asked again for a while')
  // whoever corrects them need not wait
  assert.deepEqual((await write(CONSTANT)).refused, [])
  // a Sidecar that is there stays as it was, but for what is known to be good
  const { refused } = await write([...many, ...CONSTANT])
  assert.ok(bad.every((host) => refused.includes(host)))
  assert.ok(CONSTANT.every((host) => state.live.includes(host)))
})

test('a policy that refuses every Sidecar costs one question', async () => {
  const { state, write } = server(...CONSTANT)
  await assert.rejects(write([...many, ...CONSTANT]), refusal)
  assert.equal(state.questions, 1)
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
  await assert.rejects(away.write('n/f', many, { write: fail, accepts: fail, accepted: [], constant: [] }), lost)
})
