/** What ships with the operator grants as little as possible, is fresh, and every rule is explained. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { loadAll } from 'js-yaml'
import { readAssets } from '../../operator/assets.ts'
import { MANAGED_TYPES } from '../../operator/api/kinds.ts'
import { INVENTORY } from '../../operator/render/inventory.ts'
import { grantsOf, qualified } from '../../operator/rights/rule.ts'
import { renderedTypes } from '../../operator/rights/template-objects.ts'
import type { KubeObject } from '../../runtime/object.ts'
import { resourceName } from '../../runtime/resource.ts'
import { generatedFiles, shippedRoles } from '../../tools/deploy.ts'
import { RIGHTS_DOCS, rightsDocs } from '../../tools/rights-docs.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const DEPLOY = join(ROOT, 'deploy')
const roles = shippedRoles()
const [cluster, objects, own] = roles

test('the files of deploy/ are what tools/deploy.ts makes of the sources; if this fails, run "npm run build"', () => {
  for (const [file, text] of generatedFiles()) assert.equal(readFileSync(join(DEPLOY, file), 'utf8'), text, `deploy/${file} is stale`)
})

test('the rendered file holds every object of the kustomize base', () => {
  const read = (file: string): string[] => (loadAll(readFileSync(join(DEPLOY, file), 'utf8')) as KubeObject[]).map(idOf)
  const base = readdirSync(join(DEPLOY, 'base'))
    .filter((file) => file !== 'kustomization.yaml')
    .flatMap((file) => read(`base/${file}`))
  assert.deepEqual(read('slimeboot.yaml').sort(), base.sort())
  const withoutPolicies = base.filter((id) => !id.startsWith('ValidatingAdmissionPolicy'))
  assert.deepEqual(read('slimeboot-before-1.30.yaml').sort(), withoutPolicies.sort())
})

test('nobody gets cluster-admin, a wildcard, or a look at Secrets', () => {
  const texts = new Map([...readAssets('templates'), ...[...generatedFiles()].filter(([file]) => !file.endsWith('crds.yaml'))])
  for (const [file, text] of texts) {
    if (!file.startsWith('base/')) continue
    for (const object of loadAll(text) as KubeObject[]) {
      for (const rule of (object['rules'] ?? []) as Record<string, string[]>[]) {
        assert.ok(
          !Object.values(rule)
            .flat()
            .some((word) => word.includes('*')),
          `${file}: ${idOf(object)} has a wildcard`,
        )
        assert.ok(!rule['resources']?.includes('secrets'), `${file}: ${idOf(object)} reads Secrets`)
        assert.ok(
          !rule['verbs']?.some((verb) => verb === 'escalate' || verb === 'impersonate'),
          `${file}: ${idOf(object)} may ${rule['verbs']?.join()}`,
        )
      }
    }
  }
  const bindings = (loadAll(readFileSync(join(DEPLOY, 'slimeboot.yaml'), 'utf8')) as KubeObject[]).filter(({ kind }) =>
    kind.endsWith('Binding'),
  )
  for (const [file, text] of texts) assert.doesNotMatch(text, /cluster-admin/, file)
  const names = new Set(roles.map(({ name }) => name))
  for (const binding of bindings) {
    const role = (binding['roleRef'] as { name: string } | undefined)?.name
    if (role !== undefined) assert.ok(names.has(role), `${idOf(binding)} binds ${role}`)
  }
})

test('the operator may bind just the roles that ship, and change no role', () => {
  const rules = [cluster, objects, own].flatMap((role) => role?.rules ?? [])
  const bind = rules.filter(({ verbs }) => verbs.includes('bind'))
  assert.deepEqual(
    bind.map(({ resources, resourceNames, verbs }) => ({ resources, resourceNames, verbs })),
    [
      {
        resources: ['clusterroles'],
        resourceNames: ['slime-lazyload', 'slime-lazyload-reader', 'slime-lazyload-leases', 'slime-global-sidecar-pilot'],
        verbs: ['bind'],
      },
    ],
  )
  for (const rule of rules) {
    if (rule === bind[0]) continue
    assert.ok(!rule.resources.some((resource) => ['clusterroles', 'roles', 'customresourcedefinitions'].includes(resource)), rule.reason)
  }
  for (const role of rules.filter(({ resources }) => resources.includes('clusterroles'))) assert.ok(role.resourceNames !== undefined)
})

test('kinds whose names are fixed in the templates are granted by name, the others are not', () => {
  const types = renderedTypes(INVENTORY, readAssets('templates'))
  const named = new Map(types.flatMap(({ type, names }) => (names === undefined ? [] : [[resourceName(type), names] as const])))
  assert.deepEqual(Object.fromEntries(named), {
    'sidecars.networking.istio.io': ['global-sidecar'],
    'destinationrules.networking.istio.io': ['global-sidecar'],
    'networkpolicies.networking.k8s.io': ['global-sidecar'],
    'poddisruptionbudgets.policy': ['global-sidecar'],
    'envoyfilters.networking.istio.io': [
      'global-sidecar-accesslog',
      'global-sidecar-guard',
      'global-sidecar-metadata-exchange-remove',
      'to-global-sidecar',
    ],
  })
  const deletes = [cluster, objects].flatMap((role) => role?.rules ?? []).filter(({ verbs }) => verbs.includes('delete'))
  // of Sidecars those of fences go too, whatever their names; none is written
  const [ofFences, ...others] = deletes.filter(({ verbs }) => verbs.length === 1)
  assert.deepEqual([ofFences?.resources, ofFences?.verbs, others], [['sidecars'], ['delete'], []])
  const writes = deletes.filter((rule) => rule !== ofFences)
  for (const { apiGroups, resources, resourceNames } of writes) {
    for (const resource of resources) assert.deepEqual(resourceNames, named.get(qualified(apiGroups[0] ?? '', resource)), resource)
  }
  assert.deepEqual(writes.flatMap(({ resources }) => resources).sort(), MANAGED_TYPES.map(({ plural }) => plural).sort())
})

test('a template of a kind that is not in the table of kinds, or without a name, is refused', () => {
  const entry = { template: 'a.yaml.hbs', per: 'install', wave: 1 } as const
  const texts = (text: string): ReadonlyMap<string, string> => new Map([['a.yaml.hbs', text]])
  assert.throws(
    () => renderedTypes([entry], texts('apiVersion: v1\nkind: Secret\nmetadata:\n  name: x\n')),
    /Secret is not in operator\/api\/kinds\.ts/,
  )
  assert.throws(() => renderedTypes([entry], texts('apiVersion: v1\nkind: Service\n')), /no apiVersion, kind or metadata\.name/)
  assert.throws(
    () => renderedTypes([entry], texts('apiVersion: v1\nkind: Service\nmetadata:\n  name: x\n')),
    /no template renders a ServiceAccount/,
  )
})

test('docs/security.md explains every rule as npm run build writes it', () => {
  assert.equal(readFileSync(RIGHTS_DOCS, 'utf8'), rightsDocs(), 'run "npm run build" and commit what changes')
  for (const { name, rules } of roles) {
    assert.match(rightsDocs(), new RegExp(`^### ${name}`, 'm'))
    for (const { reason } of rules) assert.match(reason, /^[A-Z].{15,}\.$/)
  }
})

test('the operator runs as little as a pod can: not root, read-only, without capabilities, two of them', () => {
  const deployment = loadAll(readFileSync(join(DEPLOY, 'base/deployment.yaml'), 'utf8'))[0] as any
  const { template, replicas, selector } = deployment.spec
  const [container] = template.spec.containers
  assert.equal(replicas, 2)
  assert.deepEqual(selector.matchLabels, { name: 'slime-boot' })
  assert.equal(template.spec.securityContext.runAsNonRoot, true)
  assert.equal(template.spec.securityContext.seccompProfile.type, 'RuntimeDefault')
  assert.deepEqual(container.securityContext, {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'] },
  })
  for (const kind of ['requests', 'limits']) assert.deepEqual(Object.keys(container.resources[kind]).sort(), ['cpu', 'memory'])
  assert.equal(container.livenessProbe.httpGet.path, '/livez')
  assert.equal(container.readinessProbe.httpGet.path, '/readyz')
})

test('a rule as text names verbs, resources and objects', () => {
  const [first] = objects?.rules ?? []
  assert.ok(first !== undefined)
  assert.deepEqual(grantsOf({ ...first, resources: ['services'], verbs: ['get', 'patch'] }), ['get services', 'patch services'])
})

function idOf({ kind, metadata }: KubeObject): string {
  return `${kind}/${metadata.namespace ?? ''}/${metadata.name}`
}
