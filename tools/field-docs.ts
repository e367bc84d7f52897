/** Writes docs/spec.md: every field of SlimeBoot and ServiceFence, from the descriptions in the CRDs. `node tools/field-docs.ts`, run by `npm run build`; a test fails when it is stale. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { propertyOf, readCrdSchema, type CrdSchema } from '../operator/api/crd-schema.ts'
import { settingsTable } from './module-docs.ts'

export const FIELD_DOCS = join(import.meta.dirname, '..', 'docs', 'spec.md')

const INTRODUCTION = `# Every field

Generated from the CRDs; \`kubectl explain slimeboot.spec --recursive\` tells the same.

- Values are the built-in defaults, then the operator's defaults file (\`--defaults\`), then \`spec\`. Maps merge deep, lists replace, \`null\` removes a default.
- Unknown keys are kept (dispatch templates read \`.Values.<key>\`, a module's JSON goes to its controller whole) and warned about with "did you mean".
- All errors come at once, each with the path of its field and what to write instead; an invalid spec changes nothing and prunes nothing.
- \`global-sidecar-mode: no\` may arrive as the boolean \`false\` (YAML 1.1): every spelling (\`no\`, \`false\`, \`"no"\`, \`none\`, \`off\`; \`cluster\`; \`namespace\`, \`namespaced\`) is understood. Absent, the mode follows from \`component.globalSidecar.type\`; a contradiction is an error.
- A module is enabled when \`enable\` is true, or when \`enable\` is absent and \`fence.enable\` is true.
- \`dispatches[].cluster\` is plain text, \`_GLOBAL_SIDECAR\`, or a Go template over \`.Values\`: field access, pipelines, parentheses, \`print\`, \`printf\`, \`quote\`, \`default\`, \`lower\`, \`upper\`, \`trim\`, \`replace\`.

## Annotations on a SlimeBoot

| annotation | value | meaning |
|---|---|---|
| \`config.netease.com/suspend\` | \`"true"\` | nothing is applied, repaired or pruned until it is removed; deletion still works |
| \`config.netease.com/reconcile-at\` | anything new | reconcile now |
| \`config.netease.com/adopt\` | \`"true"\` | take over objects of the rendered names that exist already; never Istio's own ConfigMap, a binding to another role, or one by which others have the role |
| \`config.netease.com/create-namespaces\` | \`"true"\` | create missing target namespaces; they are never deleted |
| \`config.netease.com/deletion-policy\` | \`orphan\` | deleting the SlimeBoot lets go of its objects instead of deleting them |
`

/** Text of docs/spec.md. */
export function fieldDocs(): string {
  const boot = readCrdSchema()
  const fence = readCrdSchema('servicefences.microservice.slime.io.yaml')
  return [
    INTRODUCTION,
    section('SlimeBoot `spec`', 'spec', propertyOf(boot, 'spec')),
    `## Settings of a lazyload module\n\nPaths are below \`spec.module[]\`. All names of a key mean the same; two that contradict each other are an error. What would end the program in the pod is refused by the operator, with the same words.\n\n${settingsTable()}`,
    section('SlimeBoot `status`', 'status', propertyOf(boot, 'status')),
    section('ServiceFence `spec`', 'spec', propertyOf(fence, 'spec')),
    section('ServiceFence `status`', 'status', propertyOf(fence, 'status')),
  ].join('\n')
}

function section(title: string, path: string, schema: CrdSchema): string {
  const rows = rowsOf(path, schema).map(([field, type, text]) => `| \`${field}\` | ${type} | ${text} |`)
  return [`## ${title}`, '', '| field | type | meaning |', '|---|---|---|', ...rows, ''].join('\n')
}

function rowsOf(path: string, schema: CrdSchema): readonly (readonly [string, string, string])[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, property]) => {
    const field = `${path}.${name}`
    const items = property.type === 'array' ? (property.items ?? {}) : property
    const inner = property.type === 'array' ? `${field}[]` : property.additionalProperties === undefined ? field : `${field}.<key>`
    return [
      [field, typeText(property), (property.description ?? '').replaceAll('|', '\\|')] as const,
      ...rowsOf(inner, property.additionalProperties ?? items),
    ]
  })
}

function typeText(schema: CrdSchema): string {
  if (schema['x-kubernetes-int-or-string'] === true) return 'number or text'
  if (schema.enum !== undefined)
    return schema.enum
      .filter((value) => value !== null)
      .map((value) => `\`${value}\``)
      .join(', ')
  if (schema.type === 'array') return `list of ${typeText(schema.items ?? {})}`
  if (schema.additionalProperties !== undefined) return `map of ${typeText(schema.additionalProperties)}`
  return schema.type === 'string' ? 'text' : schema.type === 'object' ? 'map' : (schema.type ?? 'anything')
}

if (import.meta.main) writeFileSync(FIELD_DOCS, fieldDocs())
