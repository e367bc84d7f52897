/** The SlimeBoot API: group, version, kind, annotations and labels, finalizer, field manager. */
import type { KubeObject } from '../../runtime/object.ts'

export const API_VERSION = 'config.netease.com/v1alpha1'
export const KIND = 'SlimeBoot'
export const FIELD_MANAGER = 'slimeboot'
export const FINALIZER = 'config.netease.com/slimeboot'

/** On every rendered object: selects ours; its value is the owner, `<namespace>.<name>` hashed where it is over 63 characters. */
export const OWNER_LABEL = 'config.netease.com/slimeboot'
/** On every rendered object: `<SlimeBoot ns/name>=<group/kind/ns/name of this very object>`. */
export const OWNED_ANNOTATION = 'config.netease.com/owned'
/** On every rendered object: hash of what was applied, so that a field that leaves the render is taken back. */
export const APPLIED_ANNOTATION = 'config.netease.com/applied'
/** On a Deployment taken over from the earlier operator: hash of the spec until whose change its pod template stays as it was. */
export const KEPT_TEMPLATE_ANNOTATION = 'config.netease.com/pod-template-kept'
/** On a catch-all EnvoyFilter: `<scope>=<namespace of its global-sidecar>`, scope `*` for the whole mesh. */
export const CATCH_ALL_ANNOTATION = 'config.netease.com/catch-all'
/** On a catch-all that is about to go: lazyload makes no Sidecars behind it any more. */
export const FOUND_PORTS_ANNOTATION = 'config.netease.com/found-ports'
export const LEAVING_ANNOTATION = 'config.netease.com/leaving'

/** Annotations that a user sets on a SlimeBoot. */
export const SUSPEND_ANNOTATION = 'config.netease.com/suspend'
export const RECONCILE_AT_ANNOTATION = 'config.netease.com/reconcile-at'
export const ADOPT_ANNOTATION = 'config.netease.com/adopt'
export const CREATE_NAMESPACES_ANNOTATION = 'config.netease.com/create-namespaces'
export const DELETION_POLICY_ANNOTATION = 'config.netease.com/deletion-policy'

/** A SlimeBoot as stored: `spec` may hold anything that an older, looser CRD let in. */
export interface SlimeBoot extends KubeObject {
  readonly spec?: unknown
  readonly status?: unknown
}
