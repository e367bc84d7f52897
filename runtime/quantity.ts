/** Kubernetes quantities in one form (https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/). */

const QUANTITY = /^([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d+)|([KMGTPE]i|[numkMGTPE]))?$/
const SUFFIXES: Readonly<Record<string, number>> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
}

/** True when both are the same amount: `1000m`, `1` and 1. Text that is no quantity equals only itself. */
export function sameQuantity(a: unknown, b: unknown): boolean {
  if (a === b) return true
  const left = amountOf(a)
  const right = amountOf(b)
  return left !== undefined && right !== undefined && Math.abs(left - right) <= Math.abs(left) * 1e-12
}

/** The amount that a quantity stands for, or undefined for what is none. */
export function amountOf(value: unknown): number | undefined {
  if (typeof value === 'number') return value
  const match = typeof value === 'string' ? QUANTITY.exec(value) : null
  if (match === null) return undefined
  const [, digits, exponent, suffix] = match
  return Number(`${digits}${exponent ?? ''}`) * (suffix === undefined ? 1 : (SUFFIXES[suffix] ?? 1))
}
