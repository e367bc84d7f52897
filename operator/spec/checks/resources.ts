/** Checks on requests and limits: the API server answers a bad quantity with an internal error that names no field. */
import { amountOf } from '../../../runtime/quantity.ts'
import { child, problem, type Problem, show } from '../problems.ts'
import { objectAt } from '../../../module/read.ts'
import type { CheckInput } from './check.ts'

const PLACES = [['resources'], ['component', 'globalSidecar', 'resources'], ['component', 'pilot', 'resources']] as const

export function quantities({ spec }: CheckInput): Problem[] {
  return PLACES.flatMap((keys) =>
    ['requests', 'limits'].flatMap((kind) => {
      const path = `spec.${keys.join('.')}.${kind}`
      return Object.entries(objectAt(spec, ...keys, kind)).flatMap(([name, value]) => {
        const amount = amountOf(value)
        if (value === null || (amount !== undefined && amount >= 0)) return []
        return [problem(child(path, name), `must be a quantity, for example 200m, 1 or 256Mi, got ${show(value)}.`)]
      })
    }),
  )
}
