/**
 * Hostile input: generated SlimeBoots through validate, render and the API server. Each is installed or gets one clear error, and
 * costs neither much time nor much memory. `npm test` takes 200 by a printed seed (SLIMEBOOT_SEED), `npm run test:long` 10,000.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import * as fc from 'fast-check'
import { type Cluster, startCluster } from '../../../local-cluster/cluster.ts'
import { installCrds } from '../../../local-cluster/crds.ts'
import { SLIMEBOOT, typeOf } from '../../../operator/api/kinds.ts'
import { compile } from '../../../operator/controller/compile.ts'
import { ReconcileError } from '../../../operator/apply/failure.ts'
import { type Client, createClient } from '../../../runtime/client.ts'
import { ApiError } from '../../../runtime/errors.ts'
import { loadKubeConfig } from '../../../runtime/kubeconfig.ts'
import { identityOf, type Json, type JsonObject, objectId } from '../../../runtime/object.ts'
import { createTransport } from '../../../runtime/transport.ts'
import { eventually } from '../../helpers/eventually.ts'
import { hostileSpec } from '../../helpers/hostile.ts'
import { createChooser, LONG } from '../../helpers/seed.ts'
import { SHAPES } from '../../helpers/shapes.ts'
import { bootRef, conditionOf, newInstallation, ownedIds, setStage, specOf, type Stage } from '../../helpers/stage.ts'

const COUNT = LONG ? 10_000 : 200
const IN_FLIGHT = 16
/** Of the processor, for one SlimeBoot of at most 1.5 MB. */
const CPU_MS = 10_000
const RSS_MIB = 500
const PATIENT = { timeout: 120_000, interval: 200 }
/** Reasons that say what to do, or that nothing is to be done. Without controllers no workload ever becomes ready. */
const CLEAR = new Set([
  'Ready',
  'Progressing',
  'WorkloadNotReady',
  'InvalidSpec',
  'NoRole',
  'Conflict',
  'NamespaceMissing',
  'Forbidden',
  'Invalid',
  'DispatchHostTaken',
])
/**
 * A list or map of 100,000 entries of a wrong type keeps the API server's own check of the schema busy for half a minute and more, before
 * it refuses it (docs/notes/faults.md). Nothing of ours is asked before that; so the test waits longer than a program would.
 */
const PATIENCE_MS = 120_000
const { seed } = createChooser()

let cluster: Cluster
let stage: Stage
let specs: readonly Json[]
let client: Client
before(async () => {
  cluster = await startCluster({ name: 'hostile', controllers: false })
  await installCrds(cluster)
  stage = await setStage(cluster, 'hostile')
  client = createClient(
    createTransport({ loadConfig: () => loadKubeConfig(cluster.kubeconfig), userAgent: 'test', timeoutMs: PATIENCE_MS }),
  )
  const installation = await newInstallation(stage, 'hostile', 4)
  const good = fc
    .tuple(fc.constantFrom(...SHAPES), fc.subarray([...installation.apps], { minLength: 1 }), fc.noBias(fc.nat(40_000)))
    .map(([shape, namespaces, number]): JsonObject => {
      const spec = specOf({ ...installation, module: `m${number}` }, { ...shape, namespaces })
      const [module] = spec['module'] as readonly JsonObject[]
      const { fence } = module as { readonly fence: JsonObject }
      return { ...spec, module: [{ ...module, fence: { ...fence, wormholePort: [`${20_000 + number}`] } }] }
    })
  specs = fc.sample(hostileSpec(good), { seed, numRuns: COUNT })
})
after(async () => {
  await stage?.[Symbol.asyncDispose]()
  await cluster?.stop()
})

test(`${COUNT} SlimeBoots (SLIMEBOOT_SEED=${seed}): each renders to objects of our kinds in its own namespaces, or has a clear error, in bounded time`, (context) => {
  const verdicts = new Map<string, number>()
  let longest = 0
  for (const [index, spec] of specs.entries()) {
    const started = process.cpuUsage()
    const verdict = verdictOf(spec, index)
    const { user, system } = process.cpuUsage(started)
    longest = Math.max(longest, (user + system) / 1000)
    assert.ok((user + system) / 1000 < CPU_MS, `number ${index} took ${(user + system) / 1000} ms: ${JSON.stringify(spec).slice(0, 500)}`)
    verdicts.set(verdict, (verdicts.get(verdict) ?? 0) + 1)
  }
  context.diagnostic(JSON.stringify(Object.fromEntries(verdicts)))
  context.diagnostic(`none took more than ${Math.round(longest)} ms of the processor`)
  assert.ok((verdicts.get('rendered') ?? 0) > COUNT / 50 && (verdicts.get('InvalidSpec') ?? 0) > COUNT / 50, 'both verdicts occur')
})

test(`${COUNT} SlimeBoots (SLIMEBOOT_SEED=${seed}): the API server refuses each, or the operator installs it or says in one condition why not`, async (context) => {
  const verdicts = new Map<string, number>()
  const queue = specs.entries()
  await Promise.all(
    Array.from({ length: IN_FLIGHT }, async () => {
      for (const [index, spec] of queue) {
        if (context.signal.aborted) return
        const verdict = await live(index, spec)
        verdicts.set(verdict, (verdicts.get(verdict) ?? 0) + 1)
      }
    }),
  )
  context.diagnostic(JSON.stringify(Object.fromEntries(verdicts)))
  const peak = Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${stage.operator().pid}/status`, 'utf8'))?.[1]) / 1024
  context.diagnostic(`the operator's memory never was above ${Math.round(peak)} MiB`)
  assert.ok(peak < RSS_MIB, `${peak} MiB`)
  assert.doesNotMatch(stage.operator().log(), /unexpectedly|a bug/)
})

test("a dispatch's template cannot run for long, and reads nothing but .Values", () => {
  const fill = (size: number, start: string, piece: string, end: string): string =>
    start + piece.repeat((size - start.length - end.length) / piece.length) + end
  // just below the longest template that is looked at, and far above it
  const templates = [4096, 500_000].flatMap((size) => [
    fill(size, '{{ ', '(', ' }}'),
    fill(size, '{{ .Values.foo ', '| quote ', '}}'),
    fill(size, '{{ .Values.foo ', '| replace "a" "aa" ', '}}'),
    fill(size, '{{ .Values.foo ', `| replace "" "${'x'.repeat(100)}" `, '}}'),
    fill(size, '{{ print ', '.Values.foo ', '}}'),
    fill(size, '{{ printf "', '%s', '" .Values.foo }}'),
    fill(size, '', '{{ .Values.foo }}', ''),
    fill(size, '', '{{', ''),
    fill(size, '{{ "', '\\', '" }}'),
    fill(size, '{{ .Values', '.a', ' }}'),
  ])
  const reaches = [
    '.',
    '$',
    '.Release.Name',
    '.Chart',
    '.Capabilities',
    'env "HOME"',
    'lookup "v1" "Secret" "" ""',
    'include "x" .',
    'tpl "{{.}}" .',
  ]
  const properties = ['constructor', '__proto__', 'toString', 'constructor.constructor', '__proto__.toString', 'hasOwnProperty']
  templates.push(...[...reaches, ...properties.map((key) => `.Values.${key}`), 'printf "%1000000000d" 1'].map((each) => `{{ ${each} }}`))
  for (const template of templates) {
    const started = process.cpuUsage()
    const spec = specOf({ name: 't', module: 'm', home: 'a', root: 'b', apps: ['c'] })
    const [module] = spec['module'] as readonly JsonObject[]
    const dispatches = [{ name: 'x', domains: ['*'], cluster: template }]
    const boot = {
      apiVersion: SLIMEBOOT.apiVersion,
      kind: SLIMEBOOT.kind,
      metadata: { name: 't', namespace: 'a' },
      spec: { ...spec, foo: 'aaaa', module: [{ ...module, fence: { wormholePort: ['9080'], dispatches } }] },
    }
    assert.throws(
      () => compile(boot),
      (error: unknown) => error instanceof ReconcileError && error.reason === 'InvalidSpec' && error.message.length < 20_000,
      template.slice(0, 80),
    )
    const { user, system } = process.cpuUsage(started)
    assert.ok((user + system) / 1000 < CPU_MS, `${template.slice(0, 80)} took ${(user + system) / 1000} ms`)
  }
})

function verdictOf(spec: Json, index: number): string {
  const boot = { apiVersion: SLIMEBOOT.apiVersion, kind: SLIMEBOOT.kind, metadata: { name: `h${index}`, namespace: 'hostile' }, spec }
  try {
    const { desired, values } = compile(boot)
    const places = new Set([
      values.namespace,
      values.istioNamespace,
      ...values.globalSidecars.map(({ namespace }) => namespace),
      // a module is bound in the namespaces that the SlimeBoot lists, also where no global-sidecar comes
      ...values.modules.flatMap(({ namespaces }) => namespaces ?? []),
    ])
    const identities = desired.map(({ object }) => identityOf(object))
    assert.equal(new Set(identities).size, identities.length, 'one object twice')
    for (const { object } of desired) {
      assert.ok(
        !typeOf(object).namespaced || places.has(object.metadata.namespace ?? ''),
        `${objectId(object)} is not in ${[...places].join(', ')}`,
      )
      const role = (object['roleRef'] as { name?: string } | undefined)?.name
      assert.ok(
        role === undefined || role.startsWith('slime-') || JSON.stringify(spec).includes(`"clusterRole":${JSON.stringify(role)}`),
        `role ${role}`,
      )
    }
    return 'rendered'
  } catch (error) {
    if (!(error instanceof ReconcileError)) throw error
    assert.ok(
      ['InvalidSpec', 'NoRole'].includes(error.reason),
      `${error.reason} of number ${index}: ${error.message}\n${String(error.cause)}\n${JSON.stringify(spec).slice(0, 1000)}`,
    )
    assert.match(error.message, /spec/)
    return error.reason
  }
}

async function live(index: number, spec: Json): Promise<string> {
  const name = `h${index}`
  const ref = bootRef(stage, name)
  const shown = (): string => `number ${index}: ${JSON.stringify(spec).slice(0, 1000)}`
  try {
    await client.create(SLIMEBOOT, {
      apiVersion: SLIMEBOOT.apiVersion,
      kind: SLIMEBOOT.kind,
      metadata: { name, namespace: stage.namespace },
      spec,
    })
  } catch (error) {
    assert.ok(
      error instanceof ApiError && ([400, 413, 422].includes(error.code) || /too large/.test(error.message)),
      `${String(error)} of ${shown()}`,
    )
    return `refused with ${error.code}`
  }
  const ready = await stage.eventually(async () => {
    const boot = (await client.get(ref)) ?? assert.fail('gone')
    const condition = conditionOf(boot, 'Ready')
    assert.equal(condition.observedGeneration, boot.metadata.generation, `no verdict on ${shown()}`)
    return condition
  }, PATIENT)
  assert.ok(CLEAR.has(ready.reason ?? ''), `${ready.reason}: ${ready.message}\n${shown()}`)
  assert.ok((ready.message ?? '').length > 10 && (ready.message ?? '').length < 32_768)
  await client.remove(ref)
  await eventually(async () => assert.equal(await client.get(ref), undefined, `stays: ${shown()}`), PATIENT)
  assert.deepEqual(index % 20 === 0 ? await ownedIds(stage, name) : [], [])
  return ready.reason ?? ''
}
