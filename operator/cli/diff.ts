/** `slimeboot diff`: what applying a SlimeBoot would create, change and delete, against the live cluster. */
import { dump } from 'js-yaml'
import { Command, Option } from 'commander'
import type { Client } from '../../runtime/client.ts'
import { ApiError } from '../../runtime/errors.ts'
import { objectId, type KubeObject } from '../../runtime/object.ts'
import { typeOf } from '../api/kinds.ts'
import { FIELD_MANAGER } from '../api/slimeboot.ts'
import { type Difference, differences } from '../apply/difference.ts'
import { failureOf } from '../apply/failure.ts'
import { withFieldsTaken } from '../apply/helm/managed-fields.ts'
import type { Plan } from '../apply/plan.ts'
import { compile } from '../controller/compile.ts'
import { createFactReader } from '../controller/facts.ts'
import { withEarlier } from '../controller/module-scopes.ts'
import { readDefaults } from '../defaults-file.ts'
import { defaultsOption, fileOption, namespaceOption, printWarnings, readBoots } from './boots.ts'
import { compareObjects, type FieldChange, short } from './compare.ts'
import { kubeconfigOption, withClient } from './connect.ts'
import { listBoots, readPlan, withFoundPorts } from './read-cluster.ts'
import { colour } from './text.ts'

interface Options {
  readonly filename: string
  readonly namespace: string
  readonly defaults?: string
  readonly kubeconfig?: string
  readonly output: 'text' | 'json'
}

interface ObjectDiff {
  readonly object: string
  /** `kept`: a pod template that changes only with the spec, no difference by itself. */
  readonly action: 'create' | 'change' | 'delete' | 'refused' | 'kept'
  readonly fields: readonly FieldChange[]
  /** Of a new object: all of it. */
  readonly desired?: KubeObject
  readonly message?: string
}

export function diffCommand(): Command {
  return new Command('diff')
    .description('show what applying a SlimeBoot would create, change and delete; nothing is written')
    .addOption(fileOption())
    .addOption(namespaceOption())
    .addOption(defaultsOption())
    .addOption(kubeconfigOption())
    .addOption(new Option('-o, --output <format>').choices(['text', 'json']).default('text'))
    .addHelpText(
      'after',
      '\nExit code 0 when nothing would change, 1 when something would, 2 on an error, as of kubectl diff.\nNeeds the right to patch the objects: each change is tried by the API server as a dry run.',
    )
    .action(async (options: Options) => {
      try {
        const diffs = await withClient(options.kubeconfig, 'diff', (client) => diffFile(client, options))
        process.stdout.write(options.output === 'json' ? `${JSON.stringify(diffs, null, 2)}\n` : `${textOf(diffs).join('\n')}\n`)
        process.exitCode = diffs.some((diff) => diff.action === 'refused') ? 2 : diffs.some((diff) => diff.action !== 'kept') ? 1 : 0
      } catch (error) {
        process.exitCode = 2
        throw error
      }
    })
}

async function diffFile(client: Client, { filename, namespace, defaults }: Options): Promise<readonly ObjectDiff[]> {
  const operatorDefaults = await readDefaults(defaults)
  const facts = createFactReader(client)
  // who may not list them sees the difference without the others
  const boots = await listBoots(client).catch(() => [])
  const all: ObjectDiff[] = []
  for (const boot of await readBoots(filename, namespace)) {
    const known = withEarlier(await withFoundPorts(client, await facts.read(boot), boot), boot, boots, operatorDefaults)
    const compiled = compile(boot, { facts: known, ...(operatorDefaults === undefined ? {} : { operatorDefaults }) })
    printWarnings(boot, compiled.warnings)
    all.push(...(await diffPlan(client, await readPlan(client, boot, compiled))))
  }
  return all
}

async function diffPlan(client: Client, plan: Plan): Promise<readonly ObjectDiff[]> {
  const refused = new Map(plan.refusals.map((refusal) => [refusal.object, refusal.message]))
  const steps = await Promise.all(
    plan.steps.map(async ({ desired, live, action, takenOver }): Promise<ObjectDiff | undefined> => {
      const object = objectId(desired)
      const message = refused.get(object)
      if (message !== undefined) return { object, action: 'refused', fields: [], message }
      if (live === undefined) return { object, action: 'create', fields: [], desired }
      if (action === 'none') return undefined
      const fields = await fieldsOf(client, desired, live, takenOver)
      return fields.length === 0 ? undefined : { object, action: 'change', fields }
    }),
  )
  const kept = await Promise.all(
    plan.steps.map(async ({ keptTemplate: template, live, takenOver }): Promise<ObjectDiff | undefined> => {
      if (template === undefined || live === undefined) return undefined
      const fields = (await fieldsOf(client, template.rendered, live, takenOver)).filter(({ path }) => path.startsWith('spec.template.'))
      return fields.length === 0 ? undefined : { object: objectId(template.rendered), action: 'kept', fields, message: KEPT }
    }),
  )
  const deletes = plan.stale.map((object): ObjectDiff => ({ object: objectId(object), action: 'delete', fields: [] }))
  return [...[...steps, ...kept].filter((diff) => diff !== undefined), ...deletes].sort((a, b) => (a.object < b.object ? -1 : 1))
}

/** What the server would store, and what would be removed after that. */
async function fieldsOf(client: Client, desired: KubeObject, live: KubeObject, takenOver: boolean): Promise<readonly FieldChange[]> {
  try {
    const answer = await client.apply(typeOf(desired), desired, { fieldManager: FIELD_MANAGER, dryRun: true })
    const extras = differences(desired, takenOver ? withFieldsTaken(answer) : answer).filter(({ type }) => type === 'extra')
    return [...compareObjects(live, answer), ...extras.map(fieldChange)]
  } catch (error) {
    // an immutable field: the object would be made anew
    if (error instanceof ApiError && error.code === 422) return differences(desired, live).map(fieldChange)
    throw failureOf(error, 'apply', desired)
  }
}

const KEPT = 'keeps the pod template of the earlier operator, so that no pod restarts; when spec changes, it changes to:'

function fieldChange({ path, live: from, desired: to }: Difference): FieldChange {
  return { path: path.slice(1).replaceAll('/', '.').replaceAll('~1', '/').replaceAll('~0', '~'), from, to }
}

const MARKS = {
  create: ['green', '+ create'],
  change: ['yellow', '~ change'],
  delete: ['red', '- delete'],
  refused: ['red', '✘ refused'],
  kept: ['yellow', '= keep'],
} as const

function textOf(diffs: readonly ObjectDiff[]): readonly string[] {
  if (diffs.length === 0) return ['No differences: the cluster is as this SlimeBoot wants it.']
  const counts = (['create', 'change', 'delete', 'refused', 'kept'] as const).flatMap((action) => {
    const count = diffs.filter((diff) => diff.action === action).length
    return count === 0 ? [] : [`${count} to ${action}`.replace(/to (refused|kept)/, '$1')]
  })
  return [...diffs.flatMap(linesOf), '', counts.join(', ')]
}

function linesOf({ object, action, fields, desired, message }: ObjectDiff): readonly string[] {
  const [shade, mark] = MARKS[action]
  const body =
    desired === undefined
      ? []
      : dump(withoutMarks(desired), { noRefs: true, lineWidth: -1 })
          .trimEnd()
          .split('\n')
          .map((line) => colour('green', `    + ${line}`))
  return [
    colour(shade, `${mark} ${object}`),
    ...(message === undefined ? [] : [`    ${message}`]),
    ...body,
    ...fields.map(({ path, from, to }) => `    ${path}: ${colour('red', short(from))} → ${colour('green', short(to))}`),
  ]
}

/** Without kind and name, which the heading says, and our marks. */
function withoutMarks(object: KubeObject): Record<string, unknown> {
  const { apiVersion: _version, kind: _kind, metadata: _metadata, ...rest } = object
  return rest
}
