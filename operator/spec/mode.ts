/** The mode: where global-sidecars run, from every place and in every spelling in which a SlimeBoot says so. */
import { type GlobalSidecarMode, MODES } from '../../module/settings.ts'
import { isJsonObject, type JsonObject } from '../../runtime/object.ts'
import { enabledModules, listedNamespaces, settingOf } from './modules.ts'
import { problem, type Problem, show } from './problems.ts'
import { at } from '../../module/read.ts'
import type { Mode } from './values.ts'

/** The operator's word for what a module says. */
export const MODE_OF: Readonly<Record<GlobalSidecarMode, Mode>> = { namespace: 'namespaced', cluster: 'cluster', no: 'none' }

/** Word for a mode that the lazyload controller reads in `global.misc["global-sidecar-mode"]` (spec 2.4). */
export const CONTROLLER_MODE: Readonly<Record<Mode, string>> = { namespaced: 'namespace', cluster: 'cluster', none: 'no' }

const SIDECAR = 'spec.component.globalSidecar'

interface Statement {
  readonly path: string
  readonly value: unknown
  readonly mode: Mode
}

/** The mode that a value spells, or undefined. */
export function parseMode(value: unknown): Mode | undefined {
  const mode = typeof value === 'string' || value === false ? MODES.get(String(value).toLowerCase()) : undefined
  return mode === undefined ? undefined : MODE_OF[mode]
}

/**
 * The mode of a spec merged over its defaults, and what is wrong with the way it is said. Enabled modules
 * (in every place that module/settings.ts knows), `component.globalSidecar.type` and `.enable: false` may say it and must agree;
 * nothing said and no global-sidecar component: none. With problems the mode is a guess.
 */
export function resolveMode(spec: JsonObject): { readonly mode: Mode; readonly problems: readonly Problem[] } {
  const problems: Problem[] = []
  const statements = [...moduleStatements(spec), ...componentStatements(spec, problems)]
  const [first, ...others] = statements
  for (const other of others) {
    if (first === undefined || other.mode === first.mode) continue
    problems.push(
      problem(
        other.path,
        `is ${show(other.value)}, which contradicts ${first.path}: ${show(first.value)}. Write the same mode in both, or in one of them only.`,
      ),
    )
  }
  return { mode: first?.mode ?? 'none', problems }
}

/** What is wrong with a statement of a module is told with its other settings (modules.ts). */
function moduleStatements(spec: JsonObject): Statement[] {
  return enabledModules(spec).flatMap(({ path, module }) => {
    const { value: mode, said } = settingOf(module, 'mode')
    return said === undefined || parseMode(said.value) === undefined
      ? []
      : [{ path: `${path}.${said.place}`, value: said.value, mode: MODE_OF[mode] }]
  })
}

function componentStatements(spec: JsonObject, problems: Problem[]): Statement[] {
  const component = at(spec, 'component', 'globalSidecar')
  if (!isJsonObject(component)) return []
  if (at(component, 'enable') === false) return [{ path: `${SIDECAR}.enable`, value: false, mode: 'none' }]
  const type = at(component, 'type')
  const saidElsewhere = enabledModules(spec).some(({ module }) => settingOf(module, 'mode').said !== undefined)
  if (type === undefined && saidElsewhere) return []
  // today's upstream form has no type: cluster is its default
  if (type === undefined && isTodaysForm(spec))
    return [{ path: `${SIDECAR}.type`, value: undefined, mode: listedNamespaces(spec).length > 0 ? 'namespaced' : 'cluster' }]
  const statement = state(`${SIDECAR}.type`, type, 'namespaced or cluster', problems)
  return statement === undefined ? [] : [statement]
}

function state(path: string, value: unknown, choices: string, problems: Problem[]): Statement | undefined {
  const mode = parseMode(value)
  if (mode !== undefined) return { path, value, mode }
  problems.push(problem(path, `must be ${choices}, got ${show(value)}.`))
  return undefined
}

/** A module that says its ports under `general`, as upstream's do since v0.4. */
function isTodaysForm(spec: JsonObject): boolean {
  return enabledModules(spec).some(({ module }) => at(module, 'general', 'wormholePort') !== undefined)
}
