/** Versions of what the control plane is made of: go.mod of control-plane/ is the only place that names them. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

export const MODULE_DIR = join(import.meta.dirname, 'control-plane')

/** `v1.36.3` */
export function kubernetesVersion(): string {
  return moduleVersion('k8s.io/kubernetes')
}

/** The version of a Go module as go.mod requires it. */
export function moduleVersion(path: string): string {
  const found = goMod().match(new RegExp(`^\\s*(?:require )?${path} (v\\S+)`, 'm'))?.[1]
  if (found === undefined) throw new Error(`local-cluster/control-plane/go.mod does not require ${path}`)
  return found
}

/** The version of the Go language that go.mod asks for: `1.26`. */
export function goVersion(): string {
  return goMod().match(/^go (\d+\.\d+)/m)?.[1] ?? '0.0'
}

function goMod(): string {
  return readFileSync(join(MODULE_DIR, 'go.mod'), 'utf8')
}
