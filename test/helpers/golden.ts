/** Golden files: expected output that is reviewed as a diff. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

/** Compares `text` with the golden file. `UPDATE_GOLDEN=1` writes the file instead; without it a missing file fails. */
export function golden(file: string, text: string): void {
  if (process.env['UPDATE_GOLDEN'] === '1') {
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, text)
    return
  }
  assert.ok(existsSync(file), `${file} does not exist. Run the test with UPDATE_GOLDEN=1 and review what it writes.`)
  assert.equal(text, readFileSync(file, 'utf8'), `differs from ${file}; UPDATE_GOLDEN=1 accepts the new text`)
}
