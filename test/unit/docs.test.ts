/** Documents that are made from the code are as the code is. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { FIELD_DOCS, fieldDocs } from '../../tools/field-docs.ts'
import { REASON_DOCS, reasonDocs } from '../../tools/reason-docs.ts'

for (const [file, text] of [
  [FIELD_DOCS, fieldDocs],
  [REASON_DOCS, reasonDocs],
] as const) {
  test(`${file.slice(file.lastIndexOf('/') + 1)} is as npm run build writes it`, () => {
    assert.equal(readFileSync(file, 'utf8'), text(), 'run "npm run build" and commit what changes')
  })
}
