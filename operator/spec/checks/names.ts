/** Checks on names: modules, namespaces, images, roles. */
import { isJsonObject } from '../../../runtime/object.ts'
import { imageOf } from '../build-values.ts'
import { nameOf } from '../../../module/element.ts'
import { listedNames, ownNamespaces } from '../module-namespaces.ts'
import { clusterRoleOf, isForeignItem, listedNamespaces } from '../modules.ts'
import { problem, type Problem, show } from '../problems.ts'
import { at, textAt } from '../../../module/read.ts'
import type { CheckInput } from './check.ts'

/** Names of a Service (RFC 1035) and of a namespace (RFC 1123): https://kubernetes.io/docs/concepts/overview/working-with-objects/names/ */
const SERVICE_NAME = /^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/
const LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/
const LABEL_WORDS = 'must be a DNS label (lower-case letters, digits and "-", at most 63 characters'

/** Objects of the components that would have the same name as a module's. */
const TAKEN_NAMES = new Set([
  'global-sidecar',
  'global-sidecar-pilot',
  'istio',
  'istio-pilot',
  'istio-pilot-service-account',
  'istio-pilot-slime',
  'lazyload-accesslog-source',
  // the operator's own
  'slime-boot',
])

export function moduleNames({ spec, modules }: CheckInput): Problem[] {
  const problems: Problem[] = []
  const list = at(spec, 'module')
  if (list === undefined) problems.push(problem('spec.module', 'is required. List at least one module, for example "- name: lazyload".'))
  const first = new Map<string, string>()
  for (const { path, module } of modules) {
    const name = at(module, 'name')
    const place = `${path}.name`
    if (typeof name !== 'string' || !SERVICE_NAME.test(name)) {
      problems.push(problem(place, `${LABEL_WORDS}, a letter first), got ${show(name)}.`))
      continue
    }
    const earlier = first.get(name)
    if (earlier !== undefined)
      problems.push(
        problem(place, `is ${show(name)}, the name of the enabled module at ${earlier} too. Give each its own name, or disable one.`),
      )
    else first.set(name, place)
    if (TAKEN_NAMES.has(name))
      problems.push(
        problem(
          place,
          `must not be ${show(name)}: objects of a component or of the operator have this name. Choose another, for example lazyload.`,
        ),
      )
  }
  return problems
}

export function namespaces({ spec, mode }: CheckInput): Problem[] {
  const single = ['namespace', 'istioNamespace'].map((key): [string, unknown] => [`spec.${key}`, at(spec, key)])
  const listed = mode === 'namespaced' ? listedNamespaces(spec) : []
  const list = listed.map(({ path, name }): [string, unknown] => [path, name])
  return [...single, ...list].flatMap(([path, value]) =>
    typeof value === 'string' && LABEL.test(value) ? [] : [problem(path, `${LABEL_WORDS}), got ${show(value)}.`)],
  )
}

/** A module of one team beside others: its namespaces are some of those that have a global-sidecar. */
export function servedNamespaces({ spec, modules, mode }: CheckInput): Problem[] {
  if (mode !== 'namespaced') return []
  const listed = new Set(listedNames(spec))
  return modules.flatMap(({ path, module }) =>
    ownNamespaces(module).flatMap((name) =>
      listed.has(name)
        ? []
        : [
            problem(
              `${path}.general.namespaces`,
              `has ${show(name)}, which is not in spec.component.globalSidecar.namespace. Add it there, or remove it here.`,
            ),
          ],
    ),
  )
}

export function images({ spec, mode, shape }: CheckInput): Problem[] {
  const problems: Problem[] = []
  const check = (path: string, image: unknown, required: boolean): void => {
    if (image === undefined && !required) return
    const repository = textAt(image, 'repository')
    if (imageOf(image) === undefined) {
      problems.push(
        problem(
          `${path}.repository`,
          `is required, got ${show(at(image, 'repository'))}. Write the image without its tag, for example docker.io/slimeio/slime-lazyload.`,
        ),
      )
    } else if (repository !== undefined && /\s/.test(repository)) {
      problems.push(problem(`${path}.repository`, `must not contain spaces, got ${show(repository)}.`))
    }
    const tag = textAt(image, 'tag')
    if (repository !== undefined && tag !== undefined && tag !== '' && /[:@][^/]*$/.test(repository))
      problems.push(
        problem(`${path}.repository`, `must not carry a tag beside ${path}.tag, got ${show(repository)}. Write the tag in one place.`),
      )
    if (tag !== undefined && !/^(|[\w][\w.-]{0,127}|sha256:[0-9a-f]{64})$/.test(tag)) {
      problems.push(
        problem(
          `${path}.tag`,
          `must be an image tag (letters, digits, "_", "." and "-", at most 128 characters) or a sha256 digest, got ${show(tag)}.`,
        ),
      )
    }
  }
  check('spec.image', at(spec, 'image'), true)
  if (mode === 'none') return problems
  const sidecarImage = at(spec, 'component', 'globalSidecar', 'image')
  check('spec.component.globalSidecar.image', sidecarImage, shape === 'pilot')
  if (shape === 'pilot') check('spec.component.pilot.image', at(spec, 'component', 'pilot', 'image'), true)
  return problems
}

/** Another kind of module must name the role that an administrator made for it; nobody gets cluster-admin (design 6). */
export function clusterRoles({ modules }: CheckInput): Problem[] {
  return modules.flatMap(({ path, module }) => {
    if (isForeignItem(module)) return []
    const role = clusterRoleOf(module)
    const place = `${path}.clusterRole`
    if (role === undefined) {
      return [
        problem(
          place,
          `is required for module ${show(nameOf(module))} of kind ${show(at(module, 'kind'))}. Name a ClusterRole that is labelled config.netease.com/bindable: "true".`,
          'NoRole',
        ),
      ]
    }
    if (role === 'cluster-admin')
      return [problem(place, 'must not be cluster-admin. Name a ClusterRole with only the rights that the module needs.', 'NoRole')]
    return /^[^/%\s]+$/.test(role) && role !== '.' && role !== '..'
      ? []
      : [problem(place, `must be the name of a ClusterRole, got ${show(role)}.`)]
  })
}

export function bundleItems({ modules }: CheckInput): Problem[] {
  const hasBundle = modules.some(({ module }) => isJsonObject(at(module, 'bundle')))
  return modules.flatMap(({ path, module }) =>
    at(module, 'mode') === 'BundleItem' && !hasBundle
      ? [
          problem(
            `${path}.mode`,
            'is BundleItem, but no enabled module has a bundle to run it. Add a module with "bundle", or write mode: Module.',
          ),
        ]
      : [],
  )
}
