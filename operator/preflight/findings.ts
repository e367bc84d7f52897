/** What only `slimeboot preflight` looks at: the cluster's version and kinds, and the rights of the operator's ServiceAccount. */
import type { Client } from '../../runtime/client.ts'
import { ApiError } from '../../runtime/errors.ts'
import type { KubeObject } from '../../runtime/object.ts'
import type { ResourceType } from '../../runtime/resource.ts'
import { SLIMEBOOT, typeOf } from '../api/kinds.ts'
import type { ReconcileError } from '../apply/failure.ts'
import { lacksPolicies } from '../spec/cluster-facts.ts'
import { describeMissing, missingByAccess, needsOf } from './rights.ts'

/** One line of the table. */
export interface Finding {
  /** What was looked at: `Namespaces`, `Rights`, … */
  readonly check: string
  readonly level: 'ok' | 'warning' | 'error'
  readonly detail: string
}

/** A finding for each problem; where there is none, that all is well. */
export function orOk(check: string, problems: readonly ReconcileError[], detail: string): readonly Finding[] {
  return problems.length === 0
    ? [{ check, level: 'ok', detail }]
    : problems.map((problem) => ({ check, level: 'error', detail: problem.message }))
}

/** The version of Kubernetes, and what an old one means. */
export async function versionFindings(client: Client): Promise<readonly Finding[]> {
  const { gitVersion, ...version } = await client.version()
  const old = lacksPolicies(version)
  return [
    {
      check: 'Kubernetes',
      level: old ? 'warning' : 'ok',
      detail: old
        ? `${gitVersion}: no ValidatingAdmissionPolicy before 1.30, so SlimeBoots are honoured only in the operator's own namespace`
        : gitVersion,
    },
  ]
}

/** SlimeBoot's and the objects' kinds that the API server does not know. */
export async function missingKinds(client: Client, objects: readonly KubeObject[]): Promise<ReadonlySet<ResourceType>> {
  const types = [...new Set([SLIMEBOOT, ...objects.map(typeOf)])]
  const known = await Promise.all(
    types.map(async (type) => {
      try {
        await client.list(type, { limit: 1, metadataOnly: true })
        return true
      } catch (error) {
        if (error instanceof ApiError && error.unknownKind) return false
        throw error
      }
    }),
  )
  return new Set(types.filter((_, index) => known[index] === false))
}

/** What the ServiceAccount `operator` (`namespace/name`) lacks for these objects. Takes the right to create subjectaccessreviews. */
export async function rightsFindings(client: Client, objects: readonly KubeObject[], operator: string): Promise<readonly Finding[]> {
  const [namespace = '', name = ''] = operator.split('/')
  const user = `system:serviceaccount:${namespace}:${name}`
  const missing = describeMissing(await missingByAccess(client, needsOf(objects), user))
  if (missing.length === 0)
    return [{ check: 'Rights', level: 'ok', detail: `ServiceAccount ${operator} may create, patch and delete all of it` }]
  return missing.map((line) => ({
    check: 'Rights',
    level: 'error',
    detail: `ServiceAccount ${operator} may not ${line}. Apply deploy/slimeboot.yaml, which grants it.`,
  }))
}
