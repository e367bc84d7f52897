/** Documents and samples that are made from the code are as the code is. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { createOperatorMetrics } from '../../operator/metrics.ts'
import { FIELD_DOCS, fieldDocs } from '../../tools/field-docs.ts'
import { imageTagFiles } from '../../tools/image-tags.ts'
import { LAZYLOAD_DOCS, lazyloadDocs } from '../../tools/module-docs.ts'
import { REASON_DOCS, reasonDocs } from '../../tools/reason-docs.ts'

test('samples, README and tutorial name the image of this version', () => {
  const files = imageTagFiles()
  assert.ok(files.size > 8, [...files.keys()].join())
  for (const [file, text] of files) assert.equal(readFileSync(file, 'utf8'), text, `run "npm run build" and commit what changes: ${file}`)
})

for (const [file, text] of [
  [FIELD_DOCS, fieldDocs],
  [LAZYLOAD_DOCS, lazyloadDocs],
  [REASON_DOCS, reasonDocs],
] as const) {
  test(`${file.slice(file.lastIndexOf('/') + 1)} is as npm run build writes it`, () => {
    assert.equal(readFileSync(file, 'utf8'), text(), 'run "npm run build" and commit what changes')
  })
}

test('operations.md names every metric', async () => {
  const { render } = createOperatorMetrics({ workers: 1, election: { name: 'any', isLeading: () => true } })
  const { text } = await render()
  const names = [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name!)
  assert.ok(names.length > 20)
  const documented = readFileSync(join(import.meta.dirname, '../../docs/operations.md'), 'utf8')
  assert.deepEqual(
    names.filter((name) => !new RegExp(`\`${name}[\`{]`).test(documented)),
    [],
  )
})
