/** What the tests on a mesh say on a machine that lacks something. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { requirePrograms } from '../mesh/requirements.ts'

test('each missing program is named, with the command that installs it', () => {
  assert.throws(
    () => requirePrograms(['kubectl', 'curl'], { PATH: '/nonexistent' }),
    (error: Error) => {
      assert.match(error.message, /kubectl: apt-get install -y kubernetes-client/)
      assert.match(error.message, /curl: apt-get install -y curl/)
      return true
    },
  )
})

test('programs that are there are not missed', () => assert.doesNotThrow(() => requirePrograms(['bash'])))
