/** Whose the Lease is: that of the pod's ServiceAccount, so that it goes with the module and nobody has to delete it. */
import { readFileSync } from 'node:fs'
import type { OwnerReference } from '../runtime/object.ts'

const TOKEN_FILE = '/var/run/secrets/kubernetes.io/serviceaccount/token'

/** Owners for a Lease in `namespace`; none outside of a pod. */
export function leaseOwners(namespace: string): readonly OwnerReference[] {
  try {
    return ownersIn(readFileSync(TOKEN_FILE, 'utf8'), namespace)
  } catch {
    return []
  }
}

/**
 * The ServiceAccount that a token names with its uid, if it lives in `namespace`. Throws where the token is of another kind.
 * https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#schema-for-service-account-private-claims
 */
export function ownersIn(token: string, namespace: string): readonly OwnerReference[] {
  const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Claims
  const { namespace: home, serviceaccount: account } = claims['kubernetes.io']
  return home === namespace ? [{ apiVersion: 'v1', kind: 'ServiceAccount', name: account.name, uid: account.uid }] : []
}

interface Claims {
  readonly 'kubernetes.io': { readonly namespace: string; readonly serviceaccount: { readonly name: string; readonly uid: string } }
}
