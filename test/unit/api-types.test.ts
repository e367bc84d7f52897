/** The TypeScript types of SlimeBoot agree with the CRD. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { SlimeBootSpec, SlimeBootStatus } from '../../operator/api/slimeboot-spec.ts'
import type { Status } from '../../operator/controller/status.ts'
import { schemaProblems } from '../../operator/spec/schema-check.ts'
import { apiTypes } from '../../tools/generate-api-types.ts'

test('operator/api/slimeboot-spec.ts is what the CRD gives', () => {
  const file = readFileSync(join(import.meta.dirname, '../../operator/api/slimeboot-spec.ts'), 'utf8')
  assert.equal(withoutLayout(file), withoutLayout(apiTypes()), 'run "node tools/generate-api-types.ts"')
})

test('a spec and the status that the operator writes have these types', () => {
  const spec: SlimeBootSpec = { image: { repository: 'r' }, module: [{ name: 'a', fence: { wormholePort: [80, '81'] } }], foo: 1 }
  const asApi = (status: Status): SlimeBootStatus => ({ ...status })
  assert.deepEqual(schemaProblems(spec), [])
  assert.deepEqual(asApi({ observedGeneration: 1, conditions: [] }), { observedGeneration: 1, conditions: [] })
})

/** The formatter moves line breaks and leading bars. */
function withoutLayout(text: string): string {
  return text.replace(/\s+/g, '').replaceAll(':|', ':')
}
