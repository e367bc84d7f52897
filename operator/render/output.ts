/** Manifests for people and for other tools: YAML documents or a `v1` `List`. */
import { dump } from 'js-yaml'
import type { KubeObject } from '../../runtime/object.ts'
import type { Manifest } from './manifest.ts'

/** A stream of YAML documents that kubectl (YAML 1.1) and YAML 1.2 read alike, each with its template in a comment. */
export function manifestsToYaml(manifests: readonly Manifest[]): string {
  return manifests.map(({ object, template }) => `---\n# Source: ${template}\n${dump(object, { noRefs: true, lineWidth: -1 })}`).join('')
}

/** The objects as one `v1` `List`, as `kubectl get -o json` gives it. */
export function toList(manifests: readonly Manifest[]): { apiVersion: 'v1'; kind: 'List'; metadata: object; items: readonly KubeObject[] } {
  return { apiVersion: 'v1', kind: 'List', metadata: {}, items: manifests.map(({ object }) => object) }
}
