/** The SlimeBoots that are installed, and the objects that each of them becomes. */
import { load } from 'js-yaml'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { compile } from '../../operator/controller/compile.ts'
import { OWNER_LABEL } from '../../operator/api/slimeboot.ts'
import type { KubeObject } from '../../runtime/object.ts'

const SAMPLES = join(import.meta.dirname, '..', '..', 'samples')
/** Where SlimeBoots live and modules run. */
export const HOME = 'mesh-operator'
/** The operator serves what has this label; the floor's SlimeBoots lack it. */
export const SERVED_LABEL = { name: 'bench', value: 'served' }
/** Name of its Lease: an operator with a selector is a shard. */
export const SHARD = 'bench'

interface Spec {
  readonly module: readonly { readonly [field: string]: unknown }[]
  readonly component?: { readonly globalSidecar?: { readonly [field: string]: unknown } }
  readonly [field: string]: unknown
}

/** Six objects: a module without a global-sidecar. */
export function smallBoot(name: string): KubeObject {
  return named(sample('slimeboot_lazyload_no_global_sidecar'), name)
}

/** Seventeen objects with one namespace: the access-log sample on a current Istio. */
export function accessLogBoot(name: string, namespaces: readonly string[]): KubeObject {
  return inNamespaces(named(sample('slimeboot_lazyload_accesslog'), name), namespaces)
}

/** The first sample in many namespaces. */
export function wideBoot(name: string, namespaces: readonly string[]): KubeObject {
  return inNamespaces(named(sample('slimeboot_lazyload'), name), namespaces)
}

export function served(boot: KubeObject): KubeObject {
  return { ...boot, metadata: { ...boot.metadata, labels: { [SERVED_LABEL.name]: SERVED_LABEL.value } } }
}

/** What the operator would apply for `boot`, but without the label by which it selects: it does not see these objects. */
export function objectsOf(boot: KubeObject): readonly KubeObject[] {
  return compile(boot).desired.map(({ object }) => {
    const { [OWNER_LABEL]: _, ...labels } = object.metadata.labels ?? {}
    return { ...object, metadata: { ...object.metadata, labels } }
  })
}

/** Names `prefix-0` and so on. */
export function names(prefix: string, count: number, from = 0): readonly string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}-${from + index}`)
}

function sample(name: string): KubeObject {
  return load(readFileSync(join(SAMPLES, `${name}.yaml`), 'utf8')) as KubeObject
}

/** The SlimeBoot and its module get this name. */
function named(boot: KubeObject, name: string): KubeObject {
  const spec = boot['spec'] as Spec
  return { ...boot, metadata: { name, namespace: HOME }, spec: { ...spec, module: [{ ...spec.module[0], name }] } }
}

function inNamespaces(boot: KubeObject, namespace: readonly string[]): KubeObject {
  const spec = boot['spec'] as Spec
  return { ...boot, spec: { ...spec, component: { globalSidecar: { ...spec.component?.globalSidecar, namespace } } } }
}
