/** Preflight: everything that is missing, all at once, before the first write. Used by the operator and by `slimeboot preflight`. */
import type { Client } from '../../runtime/client.ts'
import { keyOf, objectId, type KubeObject } from '../../runtime/object.ts'
import { CREATE_NAMESPACES_ANNOTATION } from '../api/slimeboot.ts'
import { failureOf, ReconcileError } from '../apply/failure.ts'
import type { Plan } from '../apply/plan.ts'
import type { Values } from '../spec/values.ts'
import { createNamespaces, type NamespaceProblem, namespaceProblems, namespaceState } from './namespaces.ts'
import { takenHosts } from './dispatch-hosts.ts'
import { describeMissing, missingRights, needsOf } from './rights.ts'

/** What is to be applied. */
export interface Rendered {
  readonly values: Values
  readonly desired: readonly { readonly object: KubeObject }[]
}

/** What stands against a plan before its first write. */
export interface Obstacles {
  /** Against all of it. */
  readonly general: readonly ReconcileError[]
  /** Against what is in single namespaces. */
  readonly inNamespaces: readonly NamespaceProblem[]
}

export interface PreflightDependencies {
  readonly client: Client
  readonly kindMissing: (object: KubeObject) => boolean
}

export function createPreflight({ client, kindMissing }: PreflightDependencies) {
  /** Per SlimeBoot the state (uid and generation) whose rights and hosts were found in order. */
  const passed = new Map<string, string>()

  /** `isStopped`: something else stands against all of it already, so nothing is written. */
  async function check(boot: KubeObject, rendered: Rendered, plan: Plan, isStopped: boolean): Promise<Obstacles> {
    const created = plan.steps.filter((step) => step.action === 'create').map((step) => step.desired)
    const inhabited = new Set([boot, ...plan.steps.flatMap((step) => step.live ?? [])].map((object) => object.metadata.namespace))
    const create = boot.metadata.annotations?.[CREATE_NAMESPACES_ANNOTATION] === 'true'
    const state = `${boot.metadata.uid ?? ''} ${boot.metadata.generation ?? 0}`
    const isNew = passed.get(keyOf(boot)) !== state
    const [namespaces, rights, hosts] = await Promise.all([
      // where something of ours or the SlimeBoot itself lives the namespace is there
      namespaceState(
        client,
        created.filter((object) => !inhabited.has(object.metadata.namespace)),
      ),
      isNew
        ? rightsProblems(
            client,
            rendered.desired.map(({ object }) => object),
          )
        : [],
      isNew ? hostProblems(client, boot, rendered) : [],
    ])
    const general = [...kindProblems(created.filter(kindMissing)), ...rights, ...hosts]
    const inNamespaces = namespaceProblems(namespaces, create)
    // the namespace of the modules stands or falls with everything else
    const isHomeless = inNamespaces.some(({ namespace }) => namespace === rendered.values.namespace)
    if (general.length > 0 || isHomeless || isStopped) return { general, inNamespaces }
    passed.set(keyOf(boot), state)
    return { general, inNamespaces: [...inNamespaces, ...(create ? await createNamespaces(client, namespaces.missing) : [])] }
  }

  return {
    check,
    /** The SlimeBoot of this key is gone. */
    forget: (key: string): void => void passed.delete(key),
  }
}

/** What a plan refuses: objects in the way that are not ours. */
export function collisionProblems({ refusals }: Pick<Plan, 'refusals'>): readonly NamespaceProblem[] {
  return [...refusals]
    .sort((a, b) => (a.object < b.object ? -1 : 1))
    .map(({ namespace, object, message }) => ({
      namespace,
      problem: new ReconcileError('Conflict', message, 'heals', { objects: [object] }),
    }))
}

/** One problem for all objects whose kind the API server does not know. */
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

/** What the client's own user lacks to write these objects. */
export async function rightsProblems(client: Client, objects: readonly KubeObject[]): Promise<readonly ReconcileError[]> {
  const missing = describeMissing(await missingRights(client, needsOf(objects)))
  return missing.length === 0
    ? []
    : [new ReconcileError('Forbidden', `Rights are missing: ${missing.join('; ')}. Grant them to the operator's ServiceAccount.`, 'heals')]
}

/** Dispatch domains that are hosts of the mesh already. Throws ReconcileError where the hosts cannot be read. */
export async function hostProblems(
  client: Client,
  boot: KubeObject,
  { values }: Pick<Rendered, 'values'>,
): Promise<readonly ReconcileError[]> {
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
