/**
 * Who may put our marks on an object: the operator, and who may install into that namespace. Everybody else is refused, so that nothing can
 * pass for an object of a SlimeBoot. Marks that stay as they are are nobody's business: controllers, the garbage collector and people go on
 * writing such objects, and anybody may take marks off. Status and other subresources never come here.
 *
 * It looks at kinds that the whole cluster writes. So where it cannot tell it lets pass (`failurePolicy: Ignore`): the operator believes no
 * mark alone (operator/apply/standing.ts), but a cluster in which nobody can write a ConfigMap is down. One check by the authorizer costs
 * 350,000 of the 10,000,000 that a policy may spend (Kubernetes 1.36); there are two, and only where a mark is new or changed.
 */
import { groupOf, type KubeObject } from '../../runtime/object.ts'
import { MANAGED_TYPES, SLIMEBOOT } from '../api/kinds.ts'
import {
  APPLIED_ANNOTATION,
  CATCH_ALL_ANNOTATION,
  KEPT_TEMPLATE_ANNOTATION,
  LEAVING_ANNOTATION,
  OWNED_ANNOTATION,
  OWNER_LABEL,
} from '../api/slimeboot.ts'
import { quoted } from './cel.ts'
import { INSTALL_VERB, INSTALLER_ROLE, OPERATOR_NAME, OPERATOR_NAMESPACE } from './names.ts'
import { policy } from './policy.ts'
import { byGroup } from './rule.ts'

const ANNOTATIONS = [OWNED_ANNOTATION, CATCH_ALL_ANNOTATION, APPLIED_ANNOTATION, KEPT_TEMPLATE_ANNOTATION, LEAVING_ANNOTATION]
const OPERATOR_USER = `system:serviceaccount:${OPERATOR_NAMESPACE}:${OPERATOR_NAME}`
const SLIMEBOOTS = `authorizer.group(${quoted(groupOf(SLIMEBOOT.apiVersion))}).resource(${quoted(SLIMEBOOT.plural)})`

/** True where `key` of the labels or annotations is there and was not there, or was another. */
function isNew(part: 'labels' | 'annotations', key: string): string {
  const now = `object.metadata.?${part}[?${key}]`
  return `${now}.hasValue() && (request.operation == "CREATE" || ${now} != oldObject.metadata.?${part}[?${key}])`
}

const MARKED = {
  name: 'marks-set-or-changed',
  expression: `(${isNew('labels', quoted(OWNER_LABEL))}) || ${JSON.stringify(ANNOTATIONS)}.exists(a, ${isNew('annotations', 'a')})`,
}
const NOT_THE_OPERATOR = { name: 'not-the-operator', expression: `request.userInfo.username != ${quoted(OPERATOR_USER)}` }

/** The policy and its binding. */
export function marksPolicy(): readonly KubeObject[] {
  const right = `verb ${INSTALL_VERB} on ${SLIMEBOOT.plural}.${groupOf(SLIMEBOOT.apiVersion)}`
  return policy({
    name: 'slimeboot-marks',
    description: `Only the operator, and who has ${right} in the namespace, may put marks of a SlimeBoot on an object.`,
    resources: byGroup(MANAGED_TYPES).map(([group, types]) => ({ group, plurals: types.map(({ plural }) => plural) })),
    failurePolicy: 'Ignore',
    matchConditions: [NOT_THE_OPERATOR, MARKED],
    variables: [
      // of a cluster-scoped object the namespace is empty: then the right is needed in the whole cluster
      { name: 'where', expression: 'request.?namespace.orValue("")' },
      { name: 'installs', expression: `${SLIMEBOOTS}.namespace(variables.where).check(${quoted(INSTALL_VERB)}).allowed()` },
      // an operator that runs under another name
      { name: 'operates', expression: `${SLIMEBOOTS}.subresource("status").check("patch").allowed()` },
    ],
    validations: [
      {
        expression: 'variables.installs || variables.operates',
        message: `Label ${OWNER_LABEL} and annotations ${ANNOTATIONS.join(', ')} mark what the operator of SlimeBoots made: only it sets or changes them, and who has ${right} there. Leave them out of what you apply (a copied manifest carries them), or ask for a RoleBinding of your user to ClusterRole ${INSTALLER_ROLE}.`,
        reason: 'Forbidden',
      },
    ],
  })
}
