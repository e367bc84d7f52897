import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { manifestsToYaml } from '../../operator/render/output.ts'
import { render } from '../../operator/render/render.ts'
import { golden } from '../helpers/golden.ts'
import { SHAPES, nameOfShape, valuesOf } from '../helpers/shapes.ts'

// The combinations in between are covered by objects.test.ts: volumes and dispatches each change their own places only.
for (const options of SHAPES.filter(({ mode, volumes, dispatches }) => mode === 'none' || volumes === dispatches)) {
  test(`${nameOfShape(options)} renders as reviewed`, () => {
    const file = fileURLToPath(new URL(`golden/${nameOfShape(options)}.yaml`, import.meta.url))
    golden(file, manifestsToYaml(render(valuesOf({ ...options, namespaces: ['default'] }))))
  })
}
