/** Names that a module can hold: hosts as a Sidecar lists them, namespaces, keys of labels. */
import { remember } from '../runtime/remember.ts'

const LABEL = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?'
const HOST = new RegExp(`^(?:\\*\\.)?(?:${LABEL}\\.)*${LABEL}$`)
const NAMESPACE = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/
const LONGEST_HOST = 253
const LABEL_NAME = '[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?'
const LABEL_KEY = new RegExp(`^(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?/)?${LABEL_NAME}$`)

/**
 * True for a DNS name (lower case) that Istio accepts in `Sidecar.egress.hosts`, also with a leading `*.`: labels of RFC 1123, the last
 * of several not a number, which excludes IP addresses.
 * https://github.com/istio/istio/blob/master/pkg/config/validation/agent/validation.go (ValidateWildcardDomain)
 */
export const isHostName = remember((host) => host.length <= LONGEST_HOST && HOST.test(host) && !/(?:^|\.)\d+$/.test(host))

export function isNamespace(name: string): boolean {
  return NAMESPACE.test(name)
}

/** `namespace` of `namespace/*`, which stands for every service of a namespace; undefined for anything else. */
export function namespaceOfAll(host: string): string | undefined {
  const namespace = host.endsWith('/*') ? host.slice(0, -2) : ''
  return NAMESPACE.test(namespace) ? namespace : undefined
}

export function isLabelKey(text: string): boolean {
  return LABEL_KEY.test(text)
}
