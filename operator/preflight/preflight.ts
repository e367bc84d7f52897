/** Preflight: everything that is missing, all at once, before the first write. Used by the operator and by `slimeboot preflight`. */
import type { Client } from '../../runtime/client.ts'
import { objectId, type KubeObject } from '../../runtime/object.ts'
import { CREATE_NAMESPACES_ANNOTATION } from '../api/slimeboot.ts'
import { failureOf, ReconcileError } from '../apply/failure.ts'
import type { Plan } from '../apply/plan.ts'
import type { Compiled } from '../controller/compile.ts'
import { createNamespaces, namespaceProblems, namespaceState } from './namespaces.ts'
import { takenHosts } from './dispatch-hosts.ts'
import { describeMissing, missingRights, needsOf } from './rights.ts'

export interface PreflightDependencies {
  readonly client: Client
  readonly kindMissing: (object: KubeObject) => boolean
}

export function createPreflight({ client, kindMissing }: PreflightDependencies) {
  /** Per SlimeBoot the generation whose rights and hosts were found in order. */
  const passed = new Map<string, number>()

  return async function preflight(boot: KubeObject, compiled: Compiled, plan: Plan): Promise<readonly ReconcileError[]> {
    const created = plan.steps.filter((step) => step.action === 'create').map((step) => step.desired)
    const inhabited = new Set([boot, ...plan.steps.flatMap((step) => step.live ?? [])].map((object) => object.metadata.namespace))
    const create = boot.metadata.annotations?.[CREATE_NAMESPACES_ANNOTATION] === 'true'
    const uid = boot.metadata.uid ?? ''
    const generation = boot.metadata.generation ?? 0
    const isNew = passed.get(uid) !== generation
    const [namespaces, rights, hosts] = await Promise.all([
      // where something of ours or the SlimeBoot itself lives the namespace is there
      namespaceState(
        client,
        created.filter((object) => !inhabited.has(object.metadata.namespace)),
      ),
      isNew
        ? rightsProblems(
            client,
            compiled.desired.map(({ object }) => object),
          )
        : [],
      isNew ? hostProblems(client, boot, compiled) : [],
    ])
    const problems = [
      ...collisionProblems(plan),
      ...kindProblems(created.filter(kindMissing)),
      ...namespaceProblems(namespaces, create),
      ...rights,
      ...hosts,
    ]
    if (problems.length > 0) return problems
    passed.set(uid, generation)
    await createNamespaces(client, namespaces.missing)
    return []
  }
}

export function collisionProblems({ refusals }: Plan): readonly ReconcileError[] {
  return [...refusals]
    .sort((a, b) => (a.object < b.object ? -1 : 1))
    .map((refusal) => new ReconcileError('Conflict', refusal.message, 'heals', { objects: [refusal.object] }))
}

export function kindProblems(missing: readonly KubeObject[]): readonly ReconcileError[] {
  if (missing.length === 0) return []
  const kinds = [...new Set(missing.map((object) => `${object.kind} (${object.apiVersion})`))].sort()
  return [
    new ReconcileError(
      'KindMissing',
      `The API server does not know ${kinds.join(', ')}. Install the CRDs they come with (Istio's for networking.istio.io).`,
      'heals',
      { objects: missing.map(objectId) },
    ),
  ]
}

export async function rightsProblems(client: Client, objects: readonly KubeObject[]): Promise<readonly ReconcileError[]> {
  const missing = describeMissing(await missingRights(client, needsOf(objects)))
  return missing.length === 0
    ? []
    : [new ReconcileError('Forbidden', `Rights are missing: ${missing.join('; ')}. Grant them to the operator's ServiceAccount.`, 'heals')]
}

export async function hostProblems(client: Client, boot: KubeObject, { values }: Compiled): Promise<readonly ReconcileError[]> {
  try {
    const taken = await takenHosts(client, values)
    return taken.map(
      ({ domain, object }) =>
        new ReconcileError(
          'DispatchHostTaken',
          `Dispatch domain ${domain} is a host of ${object} already: Envoy would reject the whole route config. Take the domain from the dispatches.`,
          'heals',
        ),
    )
  } catch (error) {
    throw failureOf(error, 'get', boot)
  }
}
