import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CORE_SCHEMA, JSON_SCHEMA, YAML11_SCHEMA, loadAll } from 'js-yaml'
import { readAssets } from '../../operator/assets.ts'
import { INVENTORY } from '../../operator/render/inventory.ts'
import { renderText } from '../../operator/render/render.ts'
import { lintTemplate } from '../helpers/lint-template.ts'
import { SHAPES, nameOfShape, valuesOf } from '../helpers/shapes.ts'

const templates = readAssets('templates')

for (const [path, text] of templates) {
  test(`templates/${path} keeps the rules`, () => {
    assert.deepEqual(lintTemplate(text), [])
  })
}

test('every template is in the inventory or a partial, and is named after its kind', () => {
  const rendered = [...templates.keys()].filter((path) => !path.startsWith('partials/'))
  assert.deepEqual(rendered.toSorted(), INVENTORY.map(({ template }) => template).toSorted())
  for (const path of rendered) {
    const kind = /^kind: (\w+)$/m.exec(templates.get(path) ?? '')?.[1] ?? ''
    const kebab = kind.replace(/(?<=[a-z])(?=[A-Z])/g, '-').toLowerCase()
    assert.match(path, new RegExp(`^[a-z-]+/${kebab}(-[a-z-]+)?\\.yaml\\.hbs$`))
  }
})

const refused: Readonly<Record<string, string>> = {
  'a triple mustache': 'a: {{{x}}}\n',
  'an unescaped mustache': 'a: {{&x}}\n',
  'text after a mustache': 'a: {{x}}-suffix\n',
  'text before a mustache': 'a: prefix-{{x}}\n',
  'two mustaches in one value': 'a: {{x}}{{y}}\n',
  'a mustache inside quotes': 'a: "{{x}}"\n',
  'a mustache as a key': '{{x}}: 1\n',
  'a mustache inside a flow sequence': 'a: [{{x}}]\n',
  'a mustache inside a block scalar': 'a: |\n  text {{x}} text\n',
  'a block inside a value': 'a: {{#if x}}1{{else}}2{{/if}}\n',
  'a partial as a value': 'a: {{> p x}}\n',
  'an unknown helper': 'a: {{lookup x "constructor"}}\n',
  'an unknown helper in a subexpression': 'a: {{json (lookup x "y")}}\n',
  'an unknown block': '{{#with x}}\na: 1\n{{/with}}\n',
  'a decorator': '{{* x}}\na: 1\n',
  'a YAML 1.1 boolean': 'a: yes\n',
  'a YAML 1.1 boolean as a key': 'on: 1\n',
  'a YAML 1.1 boolean in a list': 'a: [x, no]\n',
  'a null': 'a: ~\n',
  'an octal number': 'a: 0644\n',
  'a YAML 1.2 octal number': 'a: 0o644\n',
  'a hexadecimal number': 'a: 0x1F\n',
  'a sexagesimal number': 'a: 12:30\n',
  'a number with grouped digits': 'a: 1_000\n',
  'a date': 'a: 2026-11-22\n',
  'an address that YAML 1.1 could take for a float': 'a: 0.0.0.0\n',
}
for (const [what, text] of Object.entries(refused)) {
  test(`refuses ${what}`, () => assert.notDeepEqual(lintTemplate(text), []))
}

for (const options of SHAPES) {
  test(`${nameOfShape(options)}: YAML 1.1, 1.2 and JSON-typed YAML read the rendered text alike`, () => {
    const text = renderText(valuesOf(options))
    const [json, ...others] = [JSON_SCHEMA, CORE_SCHEMA, YAML11_SCHEMA].map((schema) => loadAll(text, { schema }))
    for (const other of others) assert.deepEqual(other, json)
  })
}
