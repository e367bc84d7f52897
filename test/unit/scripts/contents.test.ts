/** What the scripts repeat of other files is as it is there. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { test } from 'node:test'
import { MANAGED_TYPES } from '../../../operator/api/kinds.ts'
import { groupOf } from '../../../runtime/object.ts'
import { resourceName } from '../../../runtime/resource.ts'
import { deployObjects } from '../../helpers/deployed-operator.ts'
import { userScripts } from '../../../tools/user-scripts.ts'
import { INSTALL, UNINSTALL } from '../../helpers/scripts.ts'

const install = readFileSync(INSTALL, 'utf8')
const uninstall = readFileSync(UNINSTALL, 'utf8')

function section(text: string, from: string, to: string): string {
  const start = text.indexOf(from)
  assert.ok(start >= 0, from)
  return text.slice(start + from.length, text.indexOf(to, start + from.length))
}

test('the part that both scripts share is the same', () => {
  const common = (text: string): string => section(text, '# --- the same in', '# --- end of what is the same')
  assert.equal(common(uninstall), common(install))
})

for (const [file, text] of userScripts()) {
  test(`scripts/${basename(file)} is made of its parts as they are`, () => {
    assert.equal(readFileSync(file, 'utf8'), text, 'Run "npm run build".')
  })
}

test('the uninstall script knows every object of deploy/slimeboot.yaml', () => {
  const lines = section(uninstall, "OPERATOR_OBJECTS='", "'").trim().split(/\n\s*/)
  const policies = section(uninstall, "POLICIES='", "'").split(' ')
  const known = [
    ...lines.filter((line) => !line.includes(' Lease ')).map((line) => line.replace(/^\./, '')),
    ...policies.flatMap((name) =>
      ['ValidatingAdmissionPolicy', 'ValidatingAdmissionPolicyBinding'].map((kind) => `admissionregistration.k8s.io/v1 ${kind} ${name}`),
    ),
  ]
  const deployed = deployObjects()
    .filter(({ kind }) => kind !== 'Namespace' && kind !== 'CustomResourceDefinition')
    .map(({ apiVersion, kind, metadata }) => `${apiVersion} ${kind} ${metadata.name}`)
  assert.deepEqual(known.sort(), deployed.sort())
})

test('the uninstall script knows every kind that a SlimeBoot becomes', () => {
  const kinds = section(uninstall, "KINDS='", "'").split(/\s+/)
  assert.deepEqual(kinds.sort(), MANAGED_TYPES.map((type) => resourceName(type)).sort())
})

test('the install script asks for the right to every kind of deploy/slimeboot.yaml', () => {
  const asked = section(install, 'check_rights() {', '\n}')
  for (const { apiVersion, kind } of deployObjects()) {
    const plural = `${kind.toLowerCase().replace(/y$/, 'ie')}s`
    assert.ok(new RegExp(`(^|\\s)${groupOf(apiVersion)}/${plural}\\b`).test(asked), `${groupOf(apiVersion)}/${plural}`)
  }
})
