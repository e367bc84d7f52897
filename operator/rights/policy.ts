/** A ValidatingAdmissionPolicy, on SlimeBoots where nothing else is said, and its binding. */
import { API_VERSION } from '../api/slimeboot.ts'
import { SLIMEBOOT } from '../api/kinds.ts'
import { groupOf, type KubeObject } from '../../runtime/object.ts'
import type { Variable } from './cel.ts'

export interface Validation {
  readonly expression: string
  /** Message, or the CEL expression that makes it; a message that is there too stands in when the expression fails. */
  readonly message?: string
  readonly messageExpression?: string
  readonly reason?: 'Forbidden' | 'Invalid'
}

export interface PolicyOptions {
  readonly name: string
  readonly description: string
  /** Under which names and for which requests it looks; all must be true. */
  readonly matchConditions: readonly { readonly name: string; readonly expression: string }[]
  readonly variables: readonly Variable[]
  readonly validations: readonly Validation[]
  /** What it looks at. */
  readonly resources?: readonly PolicyResources[]
  /** What happens where an expression fails. */
  readonly failurePolicy?: 'Fail' | 'Ignore'
}

export interface PolicyResources {
  readonly group: string
  readonly plurals: readonly string[]
}

const ADMISSION = 'admissionregistration.k8s.io/v1'

/** The policy and its binding. Status, deletion and other subresources never reach it. */
export function policy({
  name,
  description,
  matchConditions,
  variables,
  validations,
  resources = [{ group: groupOf(API_VERSION), plurals: [SLIMEBOOT.plural] }],
  failurePolicy = 'Fail',
}: PolicyOptions): readonly [KubeObject, KubeObject] {
  const metadata = { name, annotations: { 'kubernetes.io/description': description } }
  return [
    {
      apiVersion: ADMISSION,
      kind: 'ValidatingAdmissionPolicy',
      metadata,
      spec: {
        failurePolicy,
        matchConstraints: {
          resourceRules: resources.map(({ group, plurals }) => ({
            apiGroups: [group],
            apiVersions: ['*'],
            operations: ['CREATE', 'UPDATE'],
            resources: plurals,
          })),
        },
        matchConditions,
        variables,
        validations,
      },
    },
    {
      apiVersion: ADMISSION,
      kind: 'ValidatingAdmissionPolicyBinding',
      metadata: { name },
      spec: { policyName: name, validationActions: ['Deny'] },
    },
  ]
}
