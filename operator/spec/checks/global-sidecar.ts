/** Checks on the global-sidecar and the pilot: mode, namespaces, what would collide with Istio's own objects. */
import { resolveMode } from '../mode.ts'
import { clusterNamespace, listedNamespaces, settingOf } from '../modules.ts'
import { problem, type Problem, show } from '../problems.ts'
import { at, numberAt, textAt } from '../../../module/read.ts'
import type { CheckInput } from './check.ts'

const LIST = 'spec.component.globalSidecar.namespace'
/** https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set */
const LABEL_VALUE = /^([A-Za-z0-9]([-\w.]{0,61}[A-Za-z0-9])?)?$/

export function modes({ spec }: CheckInput): readonly Problem[] {
  return resolveMode(spec).problems
}

export function namespaceList({ spec, mode, facts }: CheckInput): Problem[] {
  if (mode !== 'namespaced') return []
  const list = listedNamespaces(spec)
  if (list.length === 0)
    return [problem(LIST, 'is required for type namespaced. List the namespaces of the applications, or write type: cluster.')]
  const problems: Problem[] = []
  const first = new Map<unknown, string>()
  for (const { path, name } of list) {
    const earlier = first.get(name)
    if (earlier === undefined) first.set(name, path)
    else problems.push(problem(path, `is ${show(name)}, as ${earlier} is. Remove one of them.`))
    if (name === facts.rootNamespace) {
      problems.push(
        problem(
          path,
          `must not be ${show(name)}, the mesh's root namespace: an EnvoyFilter there reaches the whole mesh. Remove it, or write type: cluster.`,
        ),
      )
    }
  }
  return problems
}

/** A catch-all before a global-sidecar without pods would end every first call. */
export function replicas({ spec, mode }: CheckInput): Problem[] {
  const count = numberAt(spec, 'component', 'globalSidecar', 'replicas')
  if (mode === 'none' || count === undefined || count >= 1) return []
  return [
    problem(
      'spec.component.globalSidecar.replicas',
      `must be 1 or more, got ${count}. To run without global-sidecar, write enable: false.`,
    ),
  ]
}

/** It becomes the pod label `istio.io/rev`. */
export function revision({ spec, mode, shape }: CheckInput): Problem[] {
  const value = textAt(spec, 'component', 'globalSidecar', 'revision')
  if (mode === 'none' || shape === 'pilot' || value === undefined || LABEL_VALUE.test(value)) return []
  return [
    problem(
      'spec.component.globalSidecar.revision',
      `must be a label value (letters, digits, "-", "_" and ".", at most 63 characters), got ${show(value)}. "istioctl tag list" and the label istio.io/rev of istiod's pods tell the revisions.`,
    ),
  ]
}

export function meshRoot({ spec, mode, facts }: CheckInput): Problem[] {
  const istioNamespace = at(spec, 'istioNamespace')
  if (mode !== 'cluster' || facts.rootNamespace === undefined || istioNamespace === facts.rootNamespace) return []
  return [
    problem(
      'spec.istioNamespace',
      `must be ${show(facts.rootNamespace)}, the mesh's root namespace, for type cluster, got ${show(istioNamespace)}: an EnvoyFilter elsewhere reaches nobody.`,
    ),
  ]
}

/** The pilot's ConfigMap `istio` would overwrite Istio's own. */
export function pilotNamespace({ spec, shape }: CheckInput): Problem[] {
  const namespace = textAt(spec, 'namespace')
  if (shape !== 'pilot' || namespace !== textAt(spec, 'istioNamespace')) return []
  return [
    problem(
      'spec.namespace',
      `must not be ${show(namespace)}, the namespace of Istio, while component.pilot is enabled: its ConfigMap "istio" would overwrite Istio's. Write another namespace, for example mesh-operator.`,
    ),
  ]
}

/** One global-sidecar serves the whole mesh: modules cannot have it in two namespaces. */
export function clusterNamespaces({ spec, modules, mode }: CheckInput): Problem[] {
  if (mode !== 'cluster') return []
  const namespace = clusterNamespace(spec)
  return modules.flatMap(({ path, module }) => {
    const { said } = settingOf(module, 'clusterGsNamespace')
    return said === undefined || said.value === namespace
      ? []
      : [problem(`${path}.${said.place}`, `is ${show(said.value)}, but another module says ${show(namespace)}. Write the same in both.`)]
  })
}
