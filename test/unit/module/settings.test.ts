/** The table of settings and the CRD say the same. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { valueAt } from '../../../module/setting.ts'
import { SETTINGS } from '../../../module/settings.ts'
import { type CrdSchema, propertyOf, readCrdSchema } from '../../../operator/api/crd-schema.ts'

const module = propertyOf(readCrdSchema(), 'spec').properties!['module']!.items!

test('every place of every setting is in the CRD, and says which other name it has', () => {
  for (const { places } of Object.values(SETTINGS)) {
    for (const [index, place] of places.entries()) {
      const schema = schemaAt(place)
      assert.ok(schema !== undefined, `${place} is not in the CRD`)
      assert.ok((schema.description ?? '') !== '', `${place} has no description`)
      // the ports have one description for both
      if (index === 0 || schema.type !== undefined || place === 'general.wormholePort') continue
      const names = [places[0], places[0].split('.').at(-1)].map((name) => `nother name of \`${name}\``)
      assert.ok(
        names.some((name) => schema.description?.includes(name)),
        `${place}: ${schema.description}`,
      )
    }
  }
})

test('every key under general in the CRD is a setting', () => {
  const known = new Set(Object.values(SETTINGS).flatMap(({ places }) => places as readonly string[]))
  const keys = Object.keys(schemaAt('general')?.properties ?? {})
  assert.ok(keys.length > 15)
  assert.deepEqual(
    keys.filter((key) => !known.has(`general.${key}`)),
    [],
  )
})

test('null, empty text and inherited names count as absent', () => {
  assert.equal(valueAt({ a: { b: null } }, 'a.b'), undefined)
  assert.equal(valueAt({ a: { b: '' } }, 'a.b'), undefined)
  assert.equal(valueAt({ a: {} }, 'a.constructor'), undefined)
  assert.equal(valueAt({ a: { b: false } }, 'a.b'), false)
})

function schemaAt(place: string): CrdSchema | undefined {
  return place.split('.').reduce<CrdSchema | undefined>((schema, key) => schema?.properties?.[key], module)
}
