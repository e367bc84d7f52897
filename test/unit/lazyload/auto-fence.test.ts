/** Which Services are fenced (spec 4, fixture 7), and which fences are in scope (spec 2.9, fixture 11). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FENCED_LABEL, isFenced, type Verdict, verdictOn } from '../../../lazyload/auto-fence/decision.ts'
import { type LabelSelector, matchesSelector, readLabelSelector } from '../../../module/label-selector.ts'
import { readModule } from '../../../module/config.ts'
import type { ModuleProblem } from '../../../module/problem.ts'
import { readerOf } from '../../../module/reader.ts'
import { createScope } from '../../../lazyload/fence/scope.ts'
import { slimService } from '../../../lazyload/mesh/known-hosts.ts'
import { createRevisions } from '../../../lazyload/mesh/revisions.ts'
import type { KubeObject } from '../../../runtime/object.ts'

for (const [service, namespace, verdict] of [
  ['true', undefined, 'yes'],
  ['true', 'false', 'yes'],
  ['false', 'true', 'no'],
  ['false', undefined, 'no'],
  [undefined, 'true', 'yes'],
  ['maybe', 'true', 'yes'],
  [undefined, undefined, 'unasked'],
  [undefined, 'maybe', 'unasked'],
  ['', 'false', 'no'],
] as const) {
  test(`Service label ${service}, namespace label ${namespace}: ${verdict}`, () => assert.equal(isFenced(service, namespace), verdict))
}

test('defaultFence decides where no label does', () => {
  assert.equal(isFenced(undefined, undefined, true), 'yes')
  assert.equal(isFenced(undefined, 'false', true), 'no')
})

const labels = { [FENCED_LABEL]: 'true' }
const service = (name: string, namespace: string, spec: unknown): KubeObject =>
  slimService({ apiVersion: 'v1', kind: 'Service', metadata: { name, namespace, labels }, spec })
const namespaceOf = (name: string): KubeObject => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } })
const options = {
  defaultFence: false,
  included: [] as string[],
  excluded: ['off'],
  selectors: undefined,
  system: new Set(['istio-system', 'kube-system']),
}
const wants = (name: string, namespace: string, spec: unknown = { selector: { app: 'x' } }, more = {}): Verdict =>
  verdictOn(service(name, namespace, spec), namespaceOf(namespace), { ...options, ...more })

test('never fenced: no selector, ExternalName, the global-sidecar, system and excluded namespaces', () => {
  assert.equal(wants('svc', 'apps'), 'yes')
  assert.equal(wants('kubernetes', 'apps', {}), 'unasked')
  assert.equal(wants('svc', 'apps', { selector: {} }), 'unasked')
  assert.equal(wants('svc', 'apps', { selector: { app: 'x' }, type: 'ExternalName' }), 'unasked')
  assert.equal(wants('global-sidecar', 'apps'), 'no')
  assert.equal(wants('svc', 'istio-system'), 'no')
  assert.equal(wants('svc', 'off'), 'no')
  assert.equal(wants('svc', 'apps', { selector: { app: 'x' } }, { included: ['only'] }), 'no')
  assert.equal(wants('svc', 'only', { selector: { app: 'x' } }, { included: ['only'] }), 'yes')
})

function selector(text: object): LabelSelector {
  const problems: ModuleProblem[] = []
  const read = readLabelSelector(readerOf(text, '', problems))
  assert.deepEqual(problems, [])
  return read
}
const prod = { env: 'prod', region: 'east' }
for (const [what, text, matches] of [
  ['nothing', {}, true],
  ['all labels', { matchLabels: prod }, true],
  ['a label of another value', { matchLabels: { env: 'prod', region: 'west' } }, false],
  ['a label that is not there', { matchLabels: { team: 'a' } }, false],
  ['In', { matchExpressions: [{ key: 'env', operator: 'In', values: ['test', 'prod'] }] }, true],
  ['In of others', { matchExpressions: [{ key: 'env', operator: 'In', values: ['test'] }] }, false],
  ['In on a missing label', { matchExpressions: [{ key: 'team', operator: 'In', values: ['a'] }] }, false],
  ['NotIn', { matchExpressions: [{ key: 'env', operator: 'NotIn', values: ['prod'] }] }, false],
  ['NotIn on a missing label', { matchExpressions: [{ key: 'team', operator: 'NotIn', values: ['a'] }] }, true],
  ['Exists', { matchExpressions: [{ key: 'region', operator: 'Exists' }] }, true],
  ['DoesNotExist', { matchExpressions: [{ key: 'region', operator: 'DoesNotExist' }] }, false],
  ['both kinds', { matchLabels: { env: 'prod' }, matchExpressions: [{ key: 'team', operator: 'Exists' }] }, false],
] as const) {
  test(`a selector with ${what} ${matches ? 'selects' : 'does not select'}`, () =>
    assert.equal(matchesSelector(selector(text), prod), matches))
}

test('managementSelectors choose namespaces, one of them is enough', () => {
  const selectors = [selector({ matchLabels: { [FENCED_LABEL]: 'true' } }), selector({ matchLabels: { env: 'prod' } })]
  assert.equal(wants('svc', 'apps', undefined, { selectors }), 'yes')
  assert.equal(wants('svc', 'apps', undefined, { selectors: selectors.slice(1) }), 'unasked')
  const none = readModule({ general: { managementSelectors: [] } }).config.autoFence
  assert.equal(none.selectors, undefined, 'an empty list says nothing')
})

for (const [names, strict, label, inScope] of [
  [['1-10-2'], true, undefined, false],
  [['1-10-2'], true, '1-10-2', true],
  [['1-10-2'], false, undefined, true],
  [['1-10-2'], false, '', true],
  [['1-10-2'], false, 'other', false],
  [['1-9', '1-10-2'], true, '1-10-2', true],
  [[], false, 'any', true],
] as const) {
  test(`revisions ${names.join(',') || 'not said'}, ${strict ? 'strict' : 'not strict'}, fence ${label}: ${inScope ? 'served' : 'left alone'}`, () => {
    const metadata = { name: 'f', ...(label === undefined ? {} : { labels: { 'istio.io/rev': label } }) }
    assert.equal(createScope({ names, strict }, createRevisions())({ apiVersion: 'x/v1', kind: 'ServiceFence', metadata }), inScope)
  })
}
