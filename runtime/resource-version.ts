/** Order of resourceVersions: decimal integers of any length since Kubernetes 1.35 says so (KEP-5504), and in practice since etcd 3. */

/** Negative when `a` is older than `b`. Something that is no integer counts as the oldest. */
export function compareResourceVersions(a: string | undefined, b: string | undefined): number {
  const left = /^[0-9]+$/.test(a ?? '') ? a! : '0'
  const right = /^[0-9]+$/.test(b ?? '') ? b! : '0'
  return left.length - right.length || (left < right ? -1 : left > right ? 1 : 0)
}
