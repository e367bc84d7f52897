/** Label selectors of Kubernetes (https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors). */
import { isLabelKey } from './names.ts'
import { choiceOf } from './parse.ts'
import type { Reader } from './reader.ts'

export type Labels = Readonly<Record<string, string>>
/** One condition on labels. */
export type LabelTest = (labels: Labels) => boolean
/** All of its conditions hold; without any it selects everything. */
export type LabelSelector = readonly LabelTest[]

const OPERATORS = choiceOf(new Map(['In', 'NotIn', 'Exists', 'DoesNotExist'].map((word) => [word.toLowerCase(), word])))

export function matchesSelector(selector: LabelSelector, labels: Labels): boolean {
  return selector.every((test) => test(labels))
}

/** `{matchLabels, matchExpressions}`; what is wrong with it goes to the problems of its reader. */
export function readLabelSelector(selector: Reader): LabelSelector {
  const equal = Object.entries(selector.parsed<Labels>({}, parseLabels, 'matchLabels')).map(
    ([key, value]): LabelTest =>
      (labels) =>
        labels[key] === value,
  )
  return [...equal, ...selector.objects('matchExpressions').map(readExpression)]
}

function parseLabels(value: unknown): Labels {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('must be labels')
  for (const [key, text] of Object.entries(value))
    if (!isLabelKey(key) || typeof text !== 'string') throw new Error('must be labels, each with a key and a text')
  return value as Labels
}

function readExpression(expression: Reader): LabelTest {
  const key = expression.text('', 'key')
  if (!isLabelKey(key)) expression.refuse('key', 'must be the key of a label')
  const operator = expression.parsed('', OPERATORS, 'operator')
  if (expression.value('operator') === undefined) expression.refuse('operator', 'is required')
  const values = expression.list('values')
  const needsValues = operator === 'In' || operator === 'NotIn'
  if (operator !== '' && needsValues !== values.length > 0)
    expression.refuse('values', `${needsValues ? 'is required with' : 'means nothing with'} ${operator}`)
  switch (operator) {
    case 'In':
      return (labels) => values.includes(labels[key] ?? '') && labels[key] !== undefined
    case 'NotIn':
      return (labels) => labels[key] === undefined || !values.includes(labels[key])
    case 'Exists':
      return (labels) => labels[key] !== undefined
    default:
      return (labels) => labels[key] === undefined
  }
}
