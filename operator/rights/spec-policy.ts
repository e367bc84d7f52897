/**
 * Clear and cheap errors of a spec, refused when it is applied, in the operator's words (operator/spec/checks). Everything else, and all
 * errors at once, the operator says in the status. Only a changed spec is judged, so a SlimeBoot that is stored with an error stays
 * deletable and its finalizer, labels and annotations writable.
 */
import type { KubeObject } from '../../runtime/object.ts'
import { MODES, SETTINGS } from '../../module/settings.ts'
import { field, quoted, specVariables, statements, statementsAt, type Variable } from './cel.ts'
import type { PolicyDefaults } from './install-policies.ts'
import { MODE_OF } from '../spec/mode.ts'
import { policy, type Validation } from './policy.ts'

const CHANGED = { name: 'spec-changed', expression: 'request.operation == "CREATE" || object.?spec != oldObject.?spec' }

/** Spellings of the mode, and the operator's word for each. */
const SPELLINGS = Object.fromEntries([...MODES].map(([spelling, meaning]) => [spelling, MODE_OF[meaning]]))
// The index of an element cannot be told in CEL before Kubernetes 1.33.
const MODULE = 'spec.module[]'
const NAME_PATH = 'spec.module[].name'
const LIST_PATH = 'spec.component.globalSidecar.namespace'
const LABEL_VALUE = '^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$'
const MODULE_NAME = '^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$'
/** Searching for pairs is quadratic: longer lists are left to the operator. */
const LONGEST = 100

/** The policy and its binding. */
export function specPolicy(defaults: PolicyDefaults): readonly KubeObject[] {
  return policy({
    name: 'slimeboot-spec',
    description: 'Refuses clear errors of a spec when it is applied.',
    matchConditions: [CHANGED],
    variables: [...specVariables(defaults), ...modeVariables(), ...listVariables()],
    validations: [...required(), ...modes(), ...names(), ...ports()],
  })
}

function modeVariables(): readonly Variable[] {
  return [
    { name: 'spellings', expression: JSON.stringify(SPELLINGS) },
    { name: 'said', expression: statements('variables.modules', SETTINGS.mode.places) },
    ...SETTINGS.mode.places.map((place, index) => ({
      name: `wrongModes${index}`,
      expression: `${statementsAt('variables.modules', place)}.filter(s, ${mode('s')} == "?")`,
    })),
    { name: 'type', expression: field('variables.sidecar', 'type', 'null') },
    // The component says the mode unless it is silent and a module says it.
    {
      name: 'typeCounts',
      expression:
        'variables.hasSidecar && !variables.sidecarOff && !variables.byDefault && (variables.type != null || size(variables.said) == 0)',
    },
    {
      name: 'modes',
      expression: `variables.said.map(s, ${mode('s')}) + (variables.hasSidecar && variables.sidecarOff ? ["none"] : []) + (variables.typeCounts ? [${mode('variables.type')}] : []) + (variables.byDefault ? [size(variables.listed) > 0 ? "namespaced" : "cluster"] : [])`,
    },
    { name: 'mode', expression: 'size(variables.modes) == 0 ? "none" : variables.modes[0]' },
  ]
}

function listVariables(): readonly Variable[] {
  const twice = (list: string): string => `size(${list}) > ${LONGEST} ? [] : ${list}.filter(a, size(${list}.filter(b, b == a)) > 1)`
  return [
    { name: 'names', expression: 'variables.modules.map(m, has(m.name) ? dyn(m.name) : dyn(null))' },
    { name: 'wrongNames', expression: `variables.names.filter(n, n == null || !string(n).matches(${quoted(MODULE_NAME)}))` },
    { name: 'namesTwice', expression: twice('variables.names.filter(n, n != null)') },
    { name: 'revision', expression: field('variables.sidecar', 'revision', '""') },
    { name: 'listedTwice', expression: twice('variables.ownListed') },
    ...SETTINGS.ports.places.flatMap((place, index) => [
      { name: `portLists${index}`, expression: `${statementsAt('variables.modules', place)}.map(l, type(l) == list ? l : dyn([l]))` },
      { name: `wrongPorts${index}`, expression: portsWhere(index, (port) => `${port} < 1 || ${port} > 65535`) },
      { name: `proxyPorts${index}`, expression: portsWhere(index, (port) => `${port} >= 15000 && ${port} <= 15099`) },
    ]),
  ]
}

/** The mode that a value spells, or "?". */
function mode(value: string): string {
  const word = `(type(${value}) == bool && ${value} == false ? "false" : type(${value}) == string ? string(${value}).lowerAscii() : "?")`
  return `(${word} in variables.spellings ? variables.spellings[${word}] : "?")`
}

/** The ports of one place for which `test` of their number holds; 0 stands for what is no number, 1 for `auto` and for ports to leave out. */
function portsWhere(index: number, test: (port: string) => string): string {
  const text =
    'string(p).matches("^[1-9][0-9]{0,4}$") ? int(string(p)) : string(p).lowerAscii() == "auto" || (string(p).matches("^-[1-9][0-9]{0,4}$") && int(string(p)) >= -65535) ? 1 : 0'
  const number = `(type(p) == int ? (int(p) < 0 && int(p) >= -65535 ? 1 : int(p)) : type(p) == string ? (${text}) : 0)`
  return `variables.portLists${index}.map(l, l.filter(p, ${test(number)})).filter(l, size(l) > 0)`
}

/** A value as the operator shows it: text in quotes, a number or a boolean as it is. */
function shown(value: string): string {
  return `(${value} == null ? "nothing" : type(${value}) == string ? "\\"" + string(${value}) + "\\"" : type(${value}) == int || type(${value}) == bool || type(${value}) == double ? string(${value}) : "a list or a map")`
}

function required(): readonly Validation[] {
  const image = (path: string): string =>
    `${path}.repository is required, got nothing. Write the image without its tag, for example docker.io/slimeio/slime-lazyload.`
  const repository = (path: string): string => `string(${field(field(path, 'image', '{}'), 'repository', '""')})`
  return [
    { expression: `${repository('variables.spec')} != ""`, message: image('spec.image') },
    {
      expression: 'has(variables.spec.module)',
      message: 'spec.module is required. List at least one module, for example "- name: lazyload".',
    },
    {
      expression: 'variables.mode != "namespaced" || size(variables.listed) > 0',
      message: `${LIST_PATH} is required for type namespaced. List the namespaces of the applications, or write type: cluster.`,
    },
    {
      expression: `!variables.pilot || variables.mode == "none" || ${repository('variables.sidecar')} != ""`,
      message: image('spec.component.globalSidecar.image'),
    },
    {
      expression: `!variables.pilot || variables.mode == "none" || ${repository(field('variables.component', 'pilot', '{}'))} != ""`,
      message: image('spec.component.pilot.image'),
    },
    {
      expression: '!variables.pilot || variables.home != variables.mesh',
      messageExpression: `"spec.namespace must not be " + ${shown('variables.home')} + ${quoted(', the namespace of Istio, while component.pilot is enabled: its ConfigMap "istio" would overwrite Istio\'s. Write another namespace, for example mesh-operator.')}`,
    },
  ]
}

function modes(): readonly Validation[] {
  return [
    ...SETTINGS.mode.places.map((place, index) => ({
      expression: `size(variables.wrongModes${index}) == 0`,
      messageExpression: `"${MODULE}.${place} must be namespace, cluster or no, got " + ${shown(`variables.wrongModes${index}[0]`)} + "."`,
    })),
    {
      expression: `!variables.typeCounts || ${mode('variables.type')} != "?"`,
      messageExpression: `"spec.component.globalSidecar.type must be namespaced or cluster, got " + ${shown('variables.type')} + "."`,
    },
    {
      expression: 'variables.modes.all(s, s == variables.mode)',
      messageExpression: `"spec.component.globalSidecar and ${MODULE}.${SETTINGS.mode.places[0]} contradict each other: they say " + variables.modes.join(" and ") + ". Write the same mode in both, or in one of them only."`,
    },
  ]
}

function names(): readonly Validation[] {
  return [
    {
      expression: 'size(variables.wrongNames) == 0',
      messageExpression: `"${NAME_PATH} must be a DNS label (lower-case letters, digits and \\"-\\", at most 63 characters, a letter first), got " + ${shown('variables.wrongNames[0]')} + "."`,
    },
    {
      expression: 'size(variables.namesTwice) == 0',
      messageExpression: `"${NAME_PATH} is " + ${shown('variables.namesTwice[0]')} + ", the name of two enabled modules. Give each its own name, or disable one."`,
    },
    {
      expression: 'variables.mode != "namespaced" || size(variables.listedTwice) == 0',
      messageExpression: `"${LIST_PATH}[] is " + ${shown('variables.listedTwice[0]')} + " twice. Remove one of them."`,
    },
    {
      expression: `variables.pilot || variables.mode == "none" || string(variables.revision).matches(${quoted(LABEL_VALUE)})`,
      messageExpression: `"spec.component.globalSidecar.revision must be a label value (letters, digits, \\"-\\", \\"_\\" and \\".\\", at most 63 characters), got " + ${shown('variables.revision')} + ". \\"istioctl tag list\\" and the label istio.io/rev of istiod's pods tell the revisions."`,
    },
  ]
}

function ports(): readonly Validation[] {
  return SETTINGS.ports.places.flatMap((place, index) => [
    {
      expression: `size(variables.wrongPorts${index}) == 0`,
      messageExpression: `"${MODULE}.${place}[] must be a port from 1 to 65535, got " + ${shown(`variables.wrongPorts${index}[0][0]`)} + ". Write the number of a Service port, for example \\"9080\\"."`,
    },
    {
      expression: `variables.pilot || variables.mode == "none" || size(variables.proxyPorts${index}) == 0`,
      messageExpression: `"${MODULE}.${place}[] must not be from 15000 to 15099, which the proxy uses itself, got " + ${shown(`variables.proxyPorts${index}[0][0]`)} + "."`,
    },
  ])
}
