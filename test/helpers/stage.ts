/** What an integration test of the operator stands on: a cluster, an operator for the namespace of its SlimeBoots, and words to say what is wanted. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import type { ClusterAccess } from '../../local-cluster/access.ts'
import type { AuditEvent } from '../../local-cluster/audit.ts'
import type { Condition } from '../../operator/api/conditions.ts'
import { MANAGED_TYPES, SLIMEBOOT } from '../../operator/api/kinds.ts'
import { OWNED_ANNOTATION } from '../../operator/api/slimeboot.ts'
import type { Status } from '../../operator/controller/status.ts'
import { type Client, createClient } from '../../runtime/client.ts'
import { loadKubeConfig } from '../../runtime/kubeconfig.ts'
import { type Json, type JsonObject, type KubeObject, objectId } from '../../runtime/object.ts'
import type { ObjectRef, ResourceType } from '../../runtime/resource.ts'
import { createTransport } from '../../runtime/transport.ts'
import { eventually, type EventuallyOptions } from './eventually.ts'
import { createNamespace } from './namespace.ts'
import { type Operator, type OperatorOptions, startOperator } from './operator.ts'
import { bootOf, type ShapeOptions } from './shapes.ts'

/** Pods need a while on a busy machine; it only matters when a test fails. */
const PATIENT: EventuallyOptions = { timeout: 60_000, interval: 50 }

export interface Stage extends AsyncDisposable {
  readonly cluster: ClusterAccess
  /** The administrator's client. */
  readonly client: Client
  /** Where the SlimeBoots of this test file live. */
  readonly namespace: string
  readonly operator: () => Operator
  /** Stops the operator, runs `meanwhile`, and starts it again. */
  readonly restart: (meanwhile?: () => Promise<void>) => Promise<void>
  /** As `eventually`, with a minute's time; a failure shows the operator's log too. */
  readonly eventually: typeof eventually
}

/** Starts an operator of its own on `cluster`. */
export async function setStage(cluster: ClusterAccess, prefix: string, options: Partial<OperatorOptions> = {}): Promise<Stage> {
  const namespace = await createNamespace(cluster, prefix)
  const client = adminClient(cluster)
  const start = async (): Promise<Operator> => await startOperator(cluster, { watchNamespaces: [namespace], ...options })
  let operator = await start()
  return {
    cluster,
    client,
    namespace,
    operator: () => operator,
    restart: async (meanwhile) => {
      await operator.stop()
      await meanwhile?.()
      operator = await start()
    },
    eventually: async <Result>(check: () => Result | Promise<Result>, timing?: EventuallyOptions) => {
      try {
        return await eventually(check, timing ?? PATIENT)
      } catch (error) {
        // the test runner shows the stack
        if (error instanceof Error) error.stack = `${error.stack}\n${operator.log()}`
        throw error
      }
    },
    [Symbol.asyncDispose]: async () => await operator.stop(),
  }
}

export function adminClient(cluster: ClusterAccess): Client {
  return createClient(createTransport({ loadConfig: () => loadKubeConfig(cluster.kubeconfig), userAgent: 'test' }))
}

/** One SlimeBoot with namespaces of its own. */
export interface Installation {
  readonly name: string
  /** Name of its module, unique in the cluster. */
  readonly module: string
  /** M: where its module runs. */
  readonly home: string
  /** I: stands for the mesh's root namespace. */
  readonly root: string
  /** Namespaces of applications. */
  readonly apps: readonly string[]
}

/** Makes names and namespaces for a SlimeBoot; nothing is installed yet. */
export async function newInstallation({ cluster }: Pick<Stage, 'cluster'>, name: string, apps = 1): Promise<Installation> {
  const [home, root, ...rest] = await Promise.all(
    ['home', 'root', ...Array.from({ length: apps }, (_, index) => `app${index}`)].map((part) =>
      createNamespace(cluster, `${name}-${part}`),
    ),
  )
  return { name, module: `${name}-${randomBytes(3).toString('hex')}`, home: home!, root: root!, apps: rest }
}

const PLAIN: ShapeOptions = { mode: 'namespaced', source: 'prometheus', shape: 'stock', volumes: false, dispatches: false }

/** A spec of the shape (default: namespaced, stock, prometheus) in the installation's namespaces; `extra` replaces fields of spec. */
export function specOf(installation: Installation, shape: Partial<ShapeOptions> = {}, extra: JsonObject = {}): JsonObject {
  const { spec } = bootOf({ ...PLAIN, namespaces: installation.apps, ...shape }) as { readonly spec?: unknown }
  const fields = spec as JsonObject & { readonly module: readonly JsonObject[] }
  return {
    ...fields,
    namespace: installation.home,
    istioNamespace: installation.root,
    module: [ofItsOwn({ ...fields.module[0], name: installation.module }, shape.mode)],
    ...extra,
  }
}

/** Without a global-sidecar a module serves the fences of all namespaces: in a cluster that tests share, those of a revision of its own. */
function ofItsOwn(module: JsonObject, mode: ShapeOptions['mode'] | undefined): JsonObject {
  if (mode !== 'none') return module
  return { ...module, global: { ...(module['global'] as JsonObject | undefined), istioRev: module['name'] as string, strictRev: true } }
}

export function bootRef({ namespace }: Pick<Stage, 'namespace'>, name: string): ObjectRef {
  return { type: SLIMEBOOT, namespace, name }
}

/** Creates the SlimeBoot as `kubectl create` does. */
export async function createBoot(
  stage: Pick<Stage, 'client' | 'namespace'>,
  name: string,
  spec: Json,
  annotations: Readonly<Record<string, string>> = {},
): Promise<KubeObject> {
  return await stage.client.create(
    SLIMEBOOT,
    { apiVersion: SLIMEBOOT.apiVersion, kind: SLIMEBOOT.kind, metadata: { name, namespace: stage.namespace, annotations }, spec },
    'kubectl-create',
  )
}

/** Replaces the whole spec. */
export async function changeSpec(stage: Pick<Stage, 'client' | 'namespace'>, name: string, spec: JsonObject): Promise<void> {
  await stage.client.jsonPatch(bootRef(stage, name), [{ op: 'replace', path: '/spec', value: spec }], 'kubectl-edit')
}

/** Sets annotations; null removes one. */
export async function annotate(stage: Stage, ref: ObjectRef, annotations: Readonly<Record<string, string | null>>): Promise<void> {
  await stage.client.mergePatch(ref, { metadata: { annotations } }, 'kubectl-annotate')
}

export async function readBoot(stage: Stage, name: string): Promise<KubeObject & { readonly status?: Partial<Status> }> {
  const boot = await stage.client.get(bootRef(stage, name))
  assert.ok(boot !== undefined, `SlimeBoot/${stage.namespace}/${name} is not there`)
  return boot
}

export function conditionOf(boot: KubeObject, type: Condition['type']): Partial<Condition> {
  return ((boot['status'] as Partial<Status> | undefined)?.conditions ?? []).find((condition) => condition.type === type) ?? {}
}

/** Waits until condition Ready tells of the present generation with this status and reason; returns it. */
export async function readyIs(
  stage: Stage,
  name: string,
  status: 'True' | 'False' | 'Unknown',
  reason: string,
  timing?: EventuallyOptions,
): Promise<Partial<Condition>> {
  return await stage.eventually(async () => {
    const boot = await readBoot(stage, name)
    const ready = conditionOf(boot, 'Ready')
    assert.deepEqual(
      { status: ready.status, reason: ready.reason, generation: ready.observedGeneration },
      { status, reason, generation: boot.metadata.generation },
      `Ready says: ${ready.message}`,
    )
    return ready
  }, timing)
}

/** Waits until Ready is True for the present generation. */
export async function isReady(stage: Stage, name: string, timing?: EventuallyOptions): Promise<void> {
  await stage.eventually(async () => {
    const boot = await readBoot(stage, name)
    const ready = conditionOf(boot, 'Ready')
    assert.deepEqual(
      { status: ready.status, generation: ready.observedGeneration },
      { status: 'True', generation: boot.metadata.generation },
      `Ready says: ${ready.reason}: ${ready.message}`,
    )
  }, timing)
}

/** Waits until the SlimeBoot is gone. */
export async function isGone(stage: Stage, name: string, timing?: EventuallyOptions): Promise<void> {
  await stage.eventually(async () => {
    const boot = await stage.client.get(bootRef(stage, name))
    assert.equal(boot, undefined, `Ready says: ${boot === undefined ? '' : conditionOf(boot, 'Ready').message}`)
  }, timing)
}

/** Everything that carries the annotation of this SlimeBoot, listed anew, label or not. */
export async function ownedObjects(
  { client, namespace }: Pick<Stage, 'client' | 'namespace'>,
  name: string,
): Promise<readonly KubeObject[]> {
  const lists = await Promise.all(MANAGED_TYPES.map(async (type) => (await client.list(type)).items))
  return lists.flat().filter((object) => object.metadata.annotations?.[OWNED_ANNOTATION]?.startsWith(`${namespace}/${name}=`))
}

export async function ownedIds(stage: Pick<Stage, 'client' | 'namespace'>, name: string): Promise<readonly string[]> {
  return (await ownedObjects(stage, name)).map(objectId).sort()
}

/** A reference by kind; `namespace` is left out for a cluster-scoped kind. */
export function refTo(kind: string, namespace: string | undefined, name: string): ObjectRef {
  const type = MANAGED_TYPES.find((each) => each.kind === kind)
  assert.ok(type !== undefined, `${kind} is not a managed kind`)
  return { type, namespace, name }
}

export async function read(stage: Pick<Stage, 'client'>, ref: ObjectRef): Promise<KubeObject> {
  const object = await stage.client.get(ref)
  assert.ok(object !== undefined, `${ref.type.kind}/${ref.namespace}/${ref.name} is not there`)
  return object
}

/** What the operator wrote from `since` on: everything but reads. */
export async function writes(stage: Stage, since: Date): Promise<readonly AuditEvent[]> {
  return (await requests(stage, since)).filter(({ verb }) => !['get', 'list', 'watch'].includes(verb))
}

export async function requests(stage: Stage, since?: Date): Promise<readonly AuditEvent[]> {
  return (await stage.cluster.auditEvents(since)).filter(({ user }) => user === stage.operator().user)
}

export function summaryOf(events: readonly AuditEvent[]): readonly string[] {
  return events.map(
    ({ verb, resource, subresource, namespace, name, code }) =>
      `${verb} ${resource}${subresource === '' ? '' : `/${subresource}`} ${namespace}/${name} ${code}`,
  )
}

/** Lets the operator reconcile this SlimeBoot once more, and waits until it has. */
export async function reconcileAgain(stage: Stage, name: string): Promise<void> {
  await annotate(stage, bootRef(stage, name), { 'config.netease.com/reconcile-at': `${Date.now()}` })
}

export const typeOfKind = (kind: string): ResourceType => refTo(kind, undefined, '').type
