/** Fields of an object that Helm set, and how they become ours without a write of their values. */
import type { JsonPatchOperation } from '../../../runtime/client.ts'
import type { KubeObject, ManagedFieldsEntry } from '../../../runtime/object.ts'
import { FIELD_MANAGER } from '../../api/slimeboot.ts'

/** The manager under which the earlier operator, or Helm itself, wrote. */
const HELM_MANAGER = /helm/

/**
 * Makes the fields that Helm set ours, as if we had applied them: the next apply then takes back what is not rendered any more, and
 * nothing looks like a stranger's (what kubectl does when it changes to server-side apply). Undefined where there is nothing of Helm.
 */
export function takeFields({ metadata: { managedFields = [], resourceVersion } }: KubeObject): readonly JsonPatchOperation[] | undefined {
  const index = managedFields.findIndex((entry) => isHelms(entry))
  if (index < 0) return undefined
  const entry = `/metadata/managedFields/${index}`
  return [
    { op: 'test', path: '/metadata/resourceVersion', value: resourceVersion },
    { op: 'replace', path: `${entry}/manager`, value: FIELD_MANAGER },
    { op: 'replace', path: `${entry}/operation`, value: 'Apply' },
  ]
}

function isHelms({ manager = '', operation, subresource = '' }: ManagedFieldsEntry): boolean {
  return HELM_MANAGER.test(manager) && operation === 'Update' && subresource === ''
}

/** As it is once its fields are ours. */
export function withFieldsTaken(object: KubeObject): KubeObject {
  const { managedFields = [], ...metadata } = object.metadata
  return { ...object, metadata: { ...metadata, managedFields: managedFields.filter((entry) => !isHelms(entry)) } }
}
