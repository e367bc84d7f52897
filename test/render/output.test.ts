import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { CORE_SCHEMA, YAML11_SCHEMA, loadAll } from 'js-yaml'
import type { Manifest } from '../../operator/render/manifest.ts'
import { manifestsToYaml, toList } from '../../operator/render/output.ts'
import { render } from '../../operator/render/render.ts'
import { valuesOf } from '../helpers/shapes.ts'

const manifests = render(valuesOf({ mode: 'namespaced', source: 'accesslog', shape: 'pilot', volumes: true, dispatches: true }))

test('the YAML documents hold the objects in order, each after a comment with its template', () => {
  const text = manifestsToYaml(manifests)
  assert.deepEqual(
    loadAll(text, { schema: CORE_SCHEMA }),
    manifests.map(({ object }) => object),
  )
  assert.deepEqual(
    [...text.matchAll(/^# Source: (.*)$/gm)].map(([, template]) => template),
    manifests.map(({ template }) => template),
  )
})

test('YAML 1.1, as kubectl reads it, and YAML 1.2 read any written string alike', () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('no', '0644', '0o17', '1_0', '12:30', '~', '2026-11-22', '=', '<<', '')),
      (text) => {
        const written = manifestsToYaml([
          {
            object: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' }, data: { [text]: text } },
            wave: 2,
            template: 't',
          } satisfies Manifest,
        ])
        for (const schema of [CORE_SCHEMA, YAML11_SCHEMA]) {
          assert.deepEqual((loadAll(written, { schema })[0] as { data: unknown }).data, Object.fromEntries([[text, text]]))
        }
      },
    ),
    { numRuns: 300 },
  )
})

test('the list is a v1 List of the objects', () => {
  const list = toList(manifests)
  assert.equal(list.apiVersion, 'v1')
  assert.equal(list.kind, 'List')
  assert.deepEqual(
    list.items,
    manifests.map(({ object }) => object),
  )
})
