/** SlimeBoot specs that somebody means ill with, or wrote in his sleep: nearly right, of odd types, deep, huge, full of tricks. */
import * as fc from 'fast-check'
import type { Json, JsonObject } from '../../runtime/object.ts'

/** Text that some layer could take for more than text. */
const TRICKS: readonly string[] = [
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'hasOwnProperty',
  '{{.Values}}',
  '{{ .Values.image.tag }}',
  '{{',
  '{{{x}}}',
  '{{#each this}}',
  '{{ printf "%1000000000d" 1 }}',
  '${x}',
  '$(reboot)',
  '---\nkind: ClusterRoleBinding',
  'a: b\nc: d',
  '"',
  "'",
  '\\',
  '\n',
  '\u0000',
  '\u2028',
  '\ufeff',
  '../../etc/passwd',
  'a/b',
  '*',
  '%',
  '%00',
  'kube-system',
  'cluster-admin',
  'NO',
  '0x1F',
  '1e999',
  '-1',
  '65536',
  '443',
  '😀',
  'A'.repeat(64),
  'a.'.repeat(130),
]

const DEEP = [20, 100, 1000]
const HUGE = [10_000, 200_000, 1_000_000]

const scalar: fc.Arbitrary<Json> = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom<Json>(...TRICKS) },
  { weight: 2, arbitrary: fc.constantFrom<Json>(null, true, false, 0, -1, 1.5, 1e308, 2 ** 53, 65_535, 65_536, [], {}) },
  { weight: 2, arbitrary: fc.string({ unit: 'binary' }) },
  { weight: 1, arbitrary: fc.integer() },
)

const key = fc.oneof(fc.constantFrom(...TRICKS), fc.constantFrom('name', 'namespace', 'enable', 'image', 'spec', 'metadata'), fc.string())

const tree: fc.Arbitrary<Json> = fc.letrec<{ value: Json }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    scalar,
    fc.array(tie('value'), { maxLength: 4 }),
    fc.array(fc.tuple(key, tie('value')), { maxLength: 4 }).map((entries) => Object.fromEntries(entries)),
  ),
})).value

const deep: fc.Arbitrary<Json> = fc.tuple(fc.constantFrom(...DEEP), key).map(([levels, name]) => {
  let value: Json = 'x'
  for (let level = 0; level < levels; level++) value = level % 2 === 0 ? [value] : Object.fromEntries([[name, value]])
  return value
})

const huge: fc.Arbitrary<Json> = fc.tuple(fc.constantFrom(...HUGE), fc.nat(3)).map(([size, form]): Json => {
  if (form === 0) return 'x'.repeat(size)
  if (form === 1) return Array.from({ length: Math.ceil(size / 8) }, (_, index) => index)
  if (form === 2) return Object.fromEntries(Array.from({ length: Math.ceil(size / 16) }, (_, index) => [`key-${index}`, index]))
  return '{{'.repeat(size / 2)
})

const poison = fc.oneof(
  { weight: 6, arbitrary: scalar },
  { weight: 3, arbitrary: tree },
  { weight: 1, arbitrary: deep },
  { weight: 1, arbitrary: huge },
)

/** What is done to one place of a good spec. */
const wound = fc.record({ at: fc.nat(), how: fc.constantFrom('replace', 'add', 'remove', 'wrap'), key, value: poison })

/** Made of good ones: mostly with one to three wounds, now and then nothing of it left. */
export function hostileSpec(good: fc.Arbitrary<JsonObject>): fc.Arbitrary<Json> {
  const wounded = fc
    .tuple(good, fc.array(wound, { minLength: 1, maxLength: 3 }))
    .map(([spec, wounds]) => wounds.reduce<Json>((json, { at, how, key: name, value }) => inflict(json, at, how, name, value), spec))
  return fc.oneof(
    { weight: 12, arbitrary: wounded },
    { weight: 2, arbitrary: good },
    { weight: 1, arbitrary: tree },
    { weight: 1, arbitrary: deep },
  )
}

/** Changes the place number `at` of all places, counted round and round. */
function inflict(json: Json, at: number, how: string, name: string, value: Json): Json {
  const places = countPlaces(json)
  let left = at % places
  const visit = (here: Json): Json => {
    if (left-- === 0) {
      if (how === 'wrap') return [here]
      if (how === 'add' && isMap(here)) return Object.fromEntries([...Object.entries(here), [name, value]])
      return how === 'remove' ? null : value
    }
    if (Array.isArray(here)) return here.map(visit)
    if (isMap(here)) return Object.fromEntries(Object.entries(here).map(([each, inner]) => [each, visit(inner)]))
    return here
  }
  return visit(json)
}

function countPlaces(json: Json): number {
  if (Array.isArray(json)) return json.reduce<number>((sum, item) => sum + countPlaces(item as Json), 1)
  return isMap(json) ? Object.values(json).reduce<number>((sum, item) => sum + countPlaces(item), 1) : 1
}

function isMap(json: Json): json is JsonObject {
  return typeof json === 'object' && json !== null && !Array.isArray(json)
}
