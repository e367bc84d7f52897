/** Roles as Kubernetes objects, and as YAML whose comments are the reasons of the rules. */
import { dump } from 'js-yaml'
import type { KubeObject } from '../../runtime/object.ts'
import type { Role, Rule } from './rule.ts'

/** The role without its reasons. */
export function roleObject({ name, namespace, labels, description, rules }: Role): KubeObject {
  return {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: namespace === undefined ? 'ClusterRole' : 'Role',
    metadata: {
      name,
      ...(namespace === undefined ? {} : { namespace }),
      ...(labels === undefined ? {} : { labels }),
      annotations: { 'kubernetes.io/description': description },
    },
    rules: rules.map(ruleObject),
  }
}

/** One YAML document, a comment above each rule. */
export function roleYaml(role: Role): string {
  const { rules: _, ...head } = roleObject(role)
  const rules = role.rules.map((rule) => `  # ${rule.reason}\n${indent(toYaml([ruleObject(rule)]))}`)
  return `${toYaml(head)}rules:\n${rules.join('')}`
}

/** YAML as every generated file of `deploy/` has it: long lines stay whole, nothing is an alias. */
export function toYaml(value: unknown): string {
  return dump(value, { lineWidth: -1, noRefs: true, flowLevel: -1 })
}

function ruleObject({ apiGroups, resources, resourceNames, verbs }: Rule): Omit<Rule, 'reason'> {
  return { apiGroups, resources, ...(resourceNames === undefined ? {} : { resourceNames }), verbs }
}

function indent(yaml: string): string {
  return yaml.replace(/^(?=.)/gm, '  ')
}
