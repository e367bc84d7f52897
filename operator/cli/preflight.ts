/** `slimeboot preflight`: everything that an installation would miss, in one table, before anything is written. */
import { Command, Option } from 'commander'
import type { Client } from '../../runtime/client.ts'
import { keyOf, type KubeObject } from '../../runtime/object.ts'
import { typeOf } from '../api/kinds.ts'
import { CREATE_NAMESPACES_ANNOTATION } from '../api/slimeboot.ts'
import { claimantOf, createClaims } from '../apply/claims.ts'
import { ReconcileError } from '../apply/failure.ts'
import { type Compiled, compile } from '../controller/compile.ts'
import { createFactReader } from '../controller/facts.ts'
import { withEarlier } from '../controller/module-scopes.ts'
import { namespaceProblems, namespaceState } from '../preflight/namespaces.ts'
import { type Finding, missingKinds, orOk, rightsFindings, versionFindings } from '../preflight/findings.ts'
import { istioFindings } from '../preflight/istio.ts'
import { memoryFindings } from '../preflight/memory.ts'
import { collisionProblems, hostProblems, kindProblems } from '../preflight/preflight.ts'
import { fileOption, namespaceOption, readBoots } from './boots.ts'
import { kubeconfigOption, withClient } from './connect.ts'
import { listBoots, readPlan, withFoundPorts } from './read-cluster.ts'
import { colour, columns } from './text.ts'

interface Options {
  readonly filename: string
  readonly namespace: string
  readonly kubeconfig?: string
  readonly operator: string
  readonly output: 'text' | 'json'
}

export function preflightCommand(): Command {
  return new Command('preflight')
    .description('list all that is missing for a SlimeBoot at once: rights, CRDs, namespaces, collisions, Istio, memory, dispatch hosts')
    .addOption(fileOption())
    .addOption(namespaceOption())
    .addOption(kubeconfigOption())
    .option('--operator <namespace/name>', "the operator's ServiceAccount, whose rights are asked for", 'mesh-operator/slime-boot')
    .addOption(new Option('-o, --output <format>').choices(['text', 'json']).default('text'))
    .addHelpText('after', '\nExit code 0 when nothing stands against it (warnings may), 1 when something does.')
    .action(async (options: Options) => {
      const findings = await withClient(options.kubeconfig, 'preflight', (client) => preflightFile(client, options))
      process.stdout.write(options.output === 'json' ? `${JSON.stringify(findings, null, 2)}\n` : `${textOf(findings).join('\n')}\n`)
      if (findings.some((finding) => finding.level === 'error')) process.exitCode = 1
    })
}

async function preflightFile(client: Client, options: Options): Promise<readonly Finding[]> {
  const reader = createFactReader(client)
  // who may not list them is not told what modules of others serve
  const boots = await listBoots(client).catch(() => [])
  const facts = { read: async (boot: KubeObject) => withEarlier(await withFoundPorts(client, await reader.read(boot), boot), boot, boots) }
  const all: Finding[] = []
  for (const boot of await readBoots(options.filename, options.namespace))
    all.push(...(await preflightBoot(client, boot, options.operator, facts)))
  return all
}

async function preflightBoot(
  client: Client,
  boot: KubeObject,
  operator: string,
  facts: Pick<ReturnType<typeof createFactReader>, 'read'>,
): Promise<readonly Finding[]> {
  let compiled: Compiled
  try {
    compiled = compile(boot, { facts: await facts.read(boot) })
  } catch (error) {
    if (!(error instanceof ReconcileError)) throw error
    return error.message.split('\n').map((detail) => ({ check: 'Spec', level: 'error', detail }))
  }
  const objects = compiled.desired.map(({ object }) => object)
  const spec: readonly Finding[] = [
    {
      check: 'Spec',
      level: 'ok',
      detail: `${objects.length} objects, mode ${compiled.values.mode}${compiled.values.mode === 'none' ? '' : `, ${compiled.values.shape} global-sidecar`}`,
    },
    // istioFindings say more of hidden hosts
    ...compiled.warnings
      .filter(({ reason }) => reason !== 'HiddenHosts')
      .map((warning): Finding => ({ check: 'Spec', level: 'warning', detail: `${warning.reason}: ${warning.message}` })),
  ]
  const [version, kinds, namespaces, rights, others, istio, memory, hosts] = await Promise.all([
    versionFindings(client),
    missingKinds(client, objects),
    namespaceState(client, objects),
    rightsFindings(client, objects, operator),
    claimFindings(client, boot, compiled),
    istioFindings(client, compiled.values),
    memoryFindings(client, compiled.values),
    hostProblems(client, boot, compiled),
  ])
  const present = objects.filter((object) => !kinds.has(typeOf(object)))
  const plan = await readPlan(client, boot, { ...compiled, desired: compiled.desired.filter(({ object }) => present.includes(object)) })
  return [
    ...spec,
    ...version,
    ...orOk('CRDs', kindProblems(objects.filter((object) => kinds.has(typeOf(object)))), 'every kind is known'),
    ...orOk(
      'Namespaces',
      namespaceProblems(namespaces, boot.metadata.annotations?.[CREATE_NAMESPACES_ANNOTATION] === 'true').map(({ problem }) => problem),
      [...new Set(objects.map((object) => object.metadata.namespace).filter((name) => name !== undefined))].sort().join(', '),
    ),
    ...rights,
    ...orOk(
      'Names',
      collisionProblems(plan).map(({ problem }) => problem),
      'no object is in the way',
    ),
    ...others,
    ...istio,
    ...memory,
    ...orOk('Dispatches', hosts, 'no dispatch domain is a host of the mesh'),
  ]
}

/** Objects and ports that other SlimeBoots of the cluster have. */
async function claimFindings(client: Client, boot: KubeObject, compiled: Compiled): Promise<readonly Finding[]> {
  const claims = createClaims()
  const others = await listBoots(client)
  for (const other of others) {
    if (keyOf(other) === keyOf(boot)) break
    try {
      claims.claim(claimantOf(other), compile(other).claim)
    } catch (error) {
      if (!(error instanceof ReconcileError)) throw error
    }
  }
  const age = others.find((other) => keyOf(other) === keyOf(boot))?.metadata.creationTimestamp ?? '9999'
  const conflicts = claims.claim({ key: keyOf(boot), createdAt: age }, compiled.claim)
  return conflicts.map(({ holder, subject }) => ({
    check: 'Names',
    level: 'error',
    detail: `SlimeBoot ${holder}, the older one, has ${subject}`,
  }))
}

const MARKS = { ok: ['green', '✔'], warning: ['yellow', '⚠'], error: ['red', '✘'] } as const

function textOf(findings: readonly Finding[]): readonly string[] {
  const rows = columns(findings.map(({ check, detail }) => [check, detail.replaceAll('\n', ' ')]))
  const lines = findings.map(({ level }, index) => `${colour(MARKS[level][0], MARKS[level][1])} ${rows[index]}`)
  const count = (level: Finding['level']): number => findings.filter((finding) => finding.level === level).length
  return [
    ...lines,
    '',
    count('error') === 0
      ? `Nothing stands against it${count('warning') > 0 ? `, ${count('warning')} warnings` : ''}.`
      : `${count('error')} things stand against it.`,
  ]
}
