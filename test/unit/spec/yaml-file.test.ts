/** Values checked against kubectl's own decoder (k8s.io/apimachinery v0.36 util/yaml, sigs.k8s.io/yaml v1.6). */
import assert from 'node:assert/strict'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { parseGoYaml } from '../../../operator/spec/go-yaml.ts'
import { parseManifests, readManifestFile, YamlError } from '../../../operator/spec/yaml-file.ts'

const SCALARS: readonly (readonly [text: string, value: unknown])[] = [
  ...['no', 'No', 'NO', 'n', 'N', 'off', 'Off', 'OFF', 'false', 'False', 'FALSE'].map((text) => [text, false] as const),
  ...['yes', 'Yes', 'YES', 'y', 'Y', 'on', 'On', 'ON', 'true', 'True', 'TRUE'].map((text) => [text, true] as const),
  ...['', '~', 'null', 'Null', 'NULL'].map((text) => [text, null] as const),
  ...[
    'nO',
    'tRUE',
    '2021-11-30',
    '2021-11-30T10:00:00Z',
    '2021-1-2',
    '2021-11',
    '1:30',
    '190:20:30',
    '1:30.5',
    '1-10-2',
    '200Mi',
    '100m',
    '1.2.3',
    '1,000',
    '_1',
    '0x',
    '0xg',
    '.',
    '12e',
    '1e400',
    '0x1p3',
    'NaN',
    'x#y',
  ].map((text) => [text, text] as const),
  ['0644', 420],
  ['0o644', 420],
  ['-0644', -420],
  ['089', 89],
  ['00', 0],
  ['0b101', 5],
  ['0x1F', 31],
  ['-0x10', -16],
  ['+5', 5],
  ['-0', 0],
  ['1_000', 1000],
  ['1__0_', 10],
  ['0_1', 1],
  ['1.', 1],
  ['.5', 0.5],
  ['-.5', -0.5],
  ['.5_0', 0.5],
  ['1_0.5', 10.5],
  ['1e3', 1000],
  ['1.10', 1.1],
  ['18446744073709551616', 18446744073709552000],
  ['"no"', 'no'],
  ["'0644'", '0644'],
  ['!!str no', 'no'],
  ['!!str 0644', '0644'],
  ['!!int "5"', 5],
  ['!!bool "yes"', true],
  ['!!binary aGVsbG8=', 'hello'],
  ['"\\u2028"', '\u2028'],
  ["'it''s'", "it's"],
  ['[no, 0644, 2021-11-30]', [false, 420, '2021-11-30']],
]

for (const [text, value] of SCALARS) {
  test(`${text === '' ? 'nothing' : text} reads as ${JSON.stringify(value)}`, () =>
    assert.deepEqual(parseGoYaml(`a: ${text}\n`, 'f.yaml'), [{ a: value }]))
}

const DOCUMENTS: readonly (readonly [title: string, text: string, documents: unknown])[] = [
  ['keys become text', 'no: 1\n2: b\n1.5: c\n1e3: d\n2021-11-30: e\n', [{ false: 1, 2: 'b', 1.5: 'c', 1000: 'd', '2021-11-30': 'e' }]],
  ['several documents', 'a: 1\n---\nb: 2\n', [{ a: 1 }, { b: 2 }]],
  ['comment and document start on one line', '--- # x\na: 1\n', [{ a: 1 }]],
  ['a byte order mark', '\uFEFFa: 1\n', [{ a: 1 }]],
  ['Windows line ends', 'a: 1\r\nb: no\r\n', [{ a: 1, b: false }]],
  ['JSON', '{"a": "no", "b": [1, true, null]}', [{ a: 'no', b: [1, true, null] }]],
  ['merge keys', 'a: &x {b: 1}\nc:\n  <<: *x\n  d: 2\n', [{ a: { b: 1 }, c: { b: 1, d: 2 } }]],
  ['block text', 'a: |\n  x\n  y\nb: >-\n  x\n  y\n', [{ a: 'x\ny\n', b: 'x y' }]],
]

for (const [title, text, documents] of DOCUMENTS) {
  test(`${title} read as kubectl reads them`, () => assert.deepEqual(parseGoYaml(text, 'f.yaml'), documents))
}

test('__proto__ is a plain key', () => {
  const [document] = parseGoYaml('__proto__: {x: 1}\n', 'f.yaml') as [object]
  assert.deepEqual(Object.keys(document), ['__proto__'])
  assert.equal(Object.getPrototypeOf(document), Object.prototype)
})

const REFUSED: readonly (readonly [text: string, place: RegExp])[] = [
  ['a: 1\nb: 2\na: 3\n', /^f\.yaml:3:1: /],
  ['1: a\n"1": b\n', /^f\.yaml:2:/],
  ['a:\n\tb: 1\n', /^f\.yaml:2:/],
  ['a: b: c\n', /^f\.yaml:1:/],
  ['a: [1, 2\n', /^f\.yaml:/],
  ['a: "x\n', /^f\.yaml:/],
  ['[1]: 2\n', /^f\.yaml:1:/],
  ['~: 1\n', /^f\.yaml:1:/],
  ['a: .inf\n', /^f\.yaml/],
  ['a: .nan\n', /^f\.yaml/],
  ['a: *x\n', /^f\.yaml:1:/],
]

for (const [text, place] of REFUSED) {
  test(`${JSON.stringify(text)} is refused with its place`, () => {
    assert.throws(
      () => parseGoYaml(text, 'f.yaml'),
      (error) => error instanceof YamlError && place.test(error.message),
    )
  })
}

test('aliases that multiply are refused', () => {
  const levels = Array.from(
    { length: 9 },
    (_, level) =>
      `l${level}: &l${level} [${Array(10)
        .fill(level === 0 ? 'x' : `*l${level - 1}`)
        .join(', ')}]\n`,
  )
  assert.throws(() => parseGoYaml(levels.join(''), 'bomb.yaml'), YamlError)
})

const BOOT = 'apiVersion: config.netease.com/v1alpha1\nkind: SlimeBoot\nmetadata: {name: a}\n'

test('a List is taken apart, empty documents are skipped', () => {
  const list = JSON.stringify({
    apiVersion: 'v1',
    kind: 'List',
    items: ['b', 'c'].map((name) => ({ apiVersion: 'v1', kind: 'Service', metadata: { name } })),
  })
  const names = parseManifests(`${BOOT}---\n# nothing\n---\n${list}\n`, 'f.yaml').map((object) => object.metadata.name)
  assert.deepEqual(names, ['a', 'b', 'c'])
})

for (const [text, message] of [
  ['- 1\n', /^f\.yaml: must be a Kubernetes object/],
  ['kind: SlimeBoot\n', /^f\.yaml: apiVersion must be text, got nothing/],
  [`${BOOT}---\n${BOOT.replace('SlimeBoot', 'no')}`, /^f\.yaml, document 2: kind must be text, got false/],
  [BOOT.replace('{name: a}', '{name: 163}'), /^f\.yaml: metadata\.name must be text, got 163/],
  [BOOT.replace('{name: a}', ''), /^f\.yaml: metadata must be a map/],
  ['apiVersion: v1\nkind: List\nitems: [{kind: a}]\n', /^f\.yaml: items\[0\]: apiVersion/],
] as const) {
  test(`${JSON.stringify(text)} is no object`, () => {
    assert.throws(
      () => parseManifests(text, 'f.yaml'),
      (error) => error instanceof YamlError && message.test(error.message),
    )
  })
}

test('a file and standard input read the same', async () => {
  const file = join(mkdtempSync(join(tmpdir(), 'yaml-file-')), 'boot.yaml')
  writeFileSync(file, BOOT)
  assert.deepEqual(await readManifestFile(file), await readManifestFile('-', Readable.from([BOOT])))
})

test('a missing file and a folder are named', async () => {
  await assert.rejects(readManifestFile('/nowhere/boot.yaml'), { name: 'YamlError', message: '/nowhere/boot.yaml: no such file' })
  await assert.rejects(readManifestFile(tmpdir()), { name: 'YamlError', message: `${tmpdir()}: is a folder; name a file in it` })
})
