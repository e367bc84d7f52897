/** Values -> manifests: pick the templates, render, parse, check identity. Pure; the templates are compiled when this module is loaded. */
import { createHash } from 'node:crypto'
import { type KubeObject, identityOf, objectId } from '../../runtime/object.ts'
import { inOneGo } from '../../runtime/turns.ts'
import { readAssets } from '../assets.ts'
import { listedNamespaces } from '../spec/modules.ts'
import type { Values } from '../spec/values.ts'
import { type Unit, contextOf } from './context.ts'
import { createEngine, fileOf } from './engine.ts'
import { goJson } from '../spec/go-json.ts'
import { type TemplateEntry, templatesFor, unitsOf } from './inventory.ts'
import type { CatchAll, Manifest } from './manifest.ts'
import { parseManifest } from './parse.ts'
import { RenderError } from './render-error.ts'

const engine = createEngine(readAssets('templates'))

/** Every object of these values: by wave, then modules, pilot and global-sidecars in the order of the spec. Throws RenderError. */
export function render(values: Values): readonly Manifest[] {
  return inOneGo(rendering(values))
}

/** The same in steps, one for each module and global-sidecar: those of hundreds of namespaces take too long for one turn of the event loop. */
export function* rendering(values: Values): Generator<void, readonly Manifest[]> {
  const manifests: Manifest[] = []
  for (const unit of unitsOf(values)) {
    manifests.push(...renderUnit(values, unit))
    yield
  }
  mustBeUnique(manifests)
  return manifests.toSorted((a, b) => a.wave - b.wave)
}

/** The text of each template before it is parsed, as a stream of YAML documents; a checksum is the name of its template. Throws RenderError where a template itself fails. */
export function renderText(values: Values): string {
  const texts = unitsOf(values).flatMap((unit) =>
    templatesFor(values, unit).map(
      (entry) => `---\n# Source: ${fileOf(entry.template)}\n${renderTemplate(values, unit, entry, entry.checksumOf ?? null)}`,
    ),
  )
  return texts.join('')
}

function renderUnit(values: Values, unit: Unit): readonly Manifest[] {
  const checksums = new Map<string, string>()
  return templatesFor(values, unit).map((entry) => {
    const checksum = entry.checksumOf === undefined ? null : (checksums.get(entry.checksumOf) ?? null)
    const template = fileOf(entry.template)
    const object = parseManifest(template, renderTemplate(values, unit, entry, checksum))
    if (object.kind === 'ConfigMap') checksums.set(entry.template, checksumOf(object))
    const catchAll = entry.catchAll === undefined ? undefined : catchAllOf(values, unit)
    const namespaceField = namespaceFieldOf(values, unit, object)
    return { object, wave: entry.wave, template, namespaceField, ...(catchAll === undefined ? {} : { catchAll }) }
  })
}

function renderTemplate(values: Values, unit: Unit, { template }: TemplateEntry, checksum: string | null): string {
  return engine.render(template, contextOf(values, unit, checksum))
}

/** SHA-256 of what pods can read of a ConfigMap. */
function checksumOf(configMap: KubeObject): string {
  return createHash('sha256').update(goJson(configMap['data'])).digest('hex')
}

function catchAllOf(values: Values, unit: Unit): CatchAll | undefined {
  if (unit.kind !== 'globalSidecar') return undefined
  return {
    scope: values.mode === 'cluster' ? '*' : unit.place.namespace,
    ports: values.ports.map(({ port }) => port).toSorted((a, b) => a - b),
    globalSidecarNamespace: unit.place.namespace,
  }
}

function namespaceFieldOf(values: Values, unit: Unit, { metadata }: KubeObject): string {
  if (unit.kind === 'moduleNamespace') return servedNamespaceField(values, unit.module.name, unit.place.namespace)
  if (unit.kind !== 'globalSidecar') return 'spec.namespace'
  if (values.mode === 'cluster') return metadata.namespace === unit.place.namespace ? 'spec.namespace' : 'spec.istioNamespace'
  return `spec.component.globalSidecar.namespace[${values.globalSidecars.indexOf(unit.place)}]`
}

function servedNamespaceField(values: Values, module: string, namespace: string): string {
  return listedNamespaces(values.raw).find(({ name }) => name === namespace)?.path ?? `spec.module[name=${module}].general.namespaces`
}

function mustBeUnique(manifests: readonly Manifest[]): void {
  const templates = new Map<string, string>()
  for (const { object, template } of manifests) {
    const identity = identityOf(object)
    const other = templates.get(identity)
    if (other !== undefined)
      throw new RenderError(template, undefined, `${objectId(object)} is rendered twice, also by ${other}. Give its module another name.`)
    templates.set(identity, template)
  }
}
