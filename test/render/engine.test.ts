import assert from 'node:assert/strict'
import { test } from 'node:test'
import { load } from 'js-yaml'
import { createEngine } from '../../operator/render/engine.ts'
import { RenderError } from '../../operator/render/render-error.ts'

/** Renders one template. */
function renderOne(text: string, context: object = {}, partials: Readonly<Record<string, string>> = {}): string {
  return createEngine(new Map([['a/b.yaml.hbs', text], ...Object.entries(partials)])).render('a/b.yaml.hbs', context)
}

const written: readonly { readonly what: string; readonly text: string; readonly context?: object; readonly value: unknown }[] = [
  { what: 'a string that looks like a boolean', text: 'v: {{x}}', context: { x: 'no' }, value: 'no' },
  { what: 'a string that looks like a number', text: 'v: {{x}}', context: { x: '0644' }, value: '0644' },
  { what: 'a string with a line break and a key', text: 'v: {{x}}', context: { x: 'a\nb: c' }, value: 'a\nb: c' },
  { what: 'a number', text: 'v: {{x}}', context: { x: 8081 }, value: 8081 },
  { what: 'a boolean', text: 'v: {{x}}', context: { x: false }, value: false },
  { what: 'joined text that looks like a number', text: 'v: {{str x}}', context: { x: 9080 }, value: '9080' },
  { what: 'joined text', text: 'v: {{str "outbound|" x "||" y}}', context: { x: 80, y: 'a.b' }, value: 'outbound|80||a.b' },
  { what: 'JSON as text, keys sorted', text: 'v: {{json x}}', context: { x: { b: 1, a: ['<'] } }, value: '{"a":["\\u003c"],"b":1}' },
  { what: 'JSON as a line', text: 'v: {{json (obj a=(list 1 x)) newline=true}}', context: { x: '"' }, value: '{"a":[1,"\\""]}\n' },
  { what: 'a structure', text: 'v:\n    {{yaml x}}', context: { x: { a: [{ b: 'c: d' }] } }, value: { a: [{ b: 'c: d' }] } },
  { what: 'YAML as text', text: 'v: {{#text}}\n  a: {{x}}\n  b:\n    - 1\n{{/text}}', context: { x: 'no' }, value: 'a: "no"\nb:\n  - 1' },
  { what: 'the block of something', text: '{{#some x}}\nv: {{x}}\n{{/some}}', context: { x: 0 }, value: 0 },
]
for (const { what, text, context, value } of written) {
  test(`writes ${what}`, () => assert.deepEqual(load(renderOne(`${text}\n`, context)), { v: value }))
}

for (const nothing of [null, false, '', [], {}]) {
  test(`leaves no key behind for ${JSON.stringify(nothing)}`, () => {
    assert.equal(renderOne('a: 1\n{{#some x}}\nv: {{yaml x}}\n{{/some}}\n', { x: nothing }), 'a: 1\n')
  })
}

const refused: readonly {
  readonly what: string
  readonly text: string
  readonly context?: object
  readonly line?: number
  readonly names: string
}[] = [
  { what: 'a missing value', text: 'a: 1\nb: {{x.y}}\n', context: { x: {} }, line: 2, names: '"x.y"' },
  { what: 'a missing value in a loop', text: '{{#each l}}\na: {{q}}\n{{/each}}\n', context: { l: [{}] }, line: 2, names: '"q"' },
  { what: 'a missing parameter', text: '\na: {{str "a" x.y}}\n', context: { x: {} }, line: 2, names: '"x.y"' },
  { what: 'a missing condition', text: '\n\n{{#if x.y}}\na: 1\n{{/if}}\n', context: { x: {} }, line: 3, names: '"x.y"' },
  { what: 'a missing member of a structure', text: 'a: {{json (obj b=x.y)}}\n', context: { x: {} }, line: 1, names: '"x.y"' },
  { what: 'null where a scalar must be', text: 'a: {{x}}\n', context: { x: null }, names: 'absent' },
  { what: 'a structure where a scalar must be', text: 'a: {{x}}\n', context: { x: {} }, names: 'structure' },
  { what: 'a structure in joined text', text: 'a: {{str "a" x}}\n', context: { x: {} }, line: 1, names: '"str"' },
  { what: 'an unknown helper', text: '\na: {{lookup2 x}}\n', context: { x: 1 }, line: 2, names: 'lookup2' },
  { what: 'an unclosed block', text: 'a: 1\n{{#if x}}\n', line: 3, names: 'Parse error' },
  { what: 'an unknown partial', text: '{{> nope x}}\n', context: { x: {} }, names: 'nope' },
  { what: 'a text block that is not YAML', text: 'a: {{#text}}\nb: [\n{{/text}}\n', line: 1, names: 'YAML' },
  { what: 'the prototype of the context', text: 'a: {{constructor}}\n', names: 'missing' },
  { what: 'the prototype of a value', text: 'a: {{x.constructor}}\n', context: { x: {} }, names: 'missing' },
  { what: 'a method of a string', text: 'a: {{x.toString}}\n', context: { x: 'a' }, names: '' },
  { what: '__proto__', text: 'a: {{json x.__proto__}}\n', context: { x: {} }, names: '__proto__' },
]
for (const { what, text, context, line, names } of refused) {
  test(`refuses ${what}, naming the template`, () => {
    assert.throws(
      () => renderOne(text, context),
      (error) => {
        assert.ok(error instanceof RenderError, String(error))
        assert.equal(error.template, 'templates/a/b.yaml.hbs')
        assert.equal(error.reason, 'RenderFailed')
        if (line !== undefined) assert.equal(error.line, line, error.message)
        assert.ok(error.message.startsWith('templates/a/b.yaml.hbs: ') && error.message.includes(names), error.message)
        return true
      },
    )
  })
}

test('an error in a partial names the partial', () => {
  assert.throws(() => renderOne('a:\n  {{> p x}}\n', { x: {} }, { 'partials/p.yaml.hbs': 'b: 1\nc: {{y}}\n' }), {
    name: 'RenderError',
    message: 'templates/partials/p.yaml.hbs: line 2: "y" is not defined.',
  })
})

test('a bad template stops the engine before anything is rendered', () => {
  assert.throws(() => createEngine(new Map([['a/b.yaml.hbs', 'a: {{nope x}}\n']])), RenderError)
})

test('a value that is a function or a SafeString look-alike is not called', () => {
  assert.throws(() => renderOne('a: {{x}}\n', { x: { toHTML: () => 'b: c' } }), RenderError)
})
