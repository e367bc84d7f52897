/** The mode: where global-sidecars run, from every place and in every spelling in which a SlimeBoot says so. */
import { isJsonObject, type JsonObject } from '../../runtime/object.ts'
import { enabledModules, miscOf } from './modules.ts'
import { problem, type Problem, show } from './problems.ts'
import { at } from './read.ts'
import type { Mode } from './values.ts'

const SPELLINGS: ReadonlyMap<string, Mode> = new Map([
  ['namespaced', 'namespaced'],
  ['namespace', 'namespaced'],
  ['cluster', 'cluster'],
  ['none', 'none'],
  ['no', 'none'],
  ['off', 'none'],
  ['false', 'none'],
])

/** Word for a mode that the lazyload controller reads in `global.misc["global-sidecar-mode"]` (spec 2.4). */
export const CONTROLLER_MODE: Readonly<Record<Mode, string>> = { namespaced: 'namespace', cluster: 'cluster', none: 'no' }

const SIDECAR = 'spec.component.globalSidecar'

interface Statement {
  readonly path: string
  readonly value: unknown
  readonly mode: Mode
}

/** The mode that a value spells, or undefined. YAML 1.1 turns `no` and `off` into false. */
export function parseMode(value: unknown): Mode | undefined {
  if (value === false) return 'none'
  return typeof value === 'string' ? SPELLINGS.get(value.toLowerCase()) : undefined
}

/**
 * The mode of a spec merged over its defaults, and what is wrong with the way it is said. Enabled modules
 * (`global.misc["global-sidecar-mode"]`), `component.globalSidecar.type` and `.enable: false` may say it and must agree;
 * nothing said and no global-sidecar component: none. With problems the mode is a guess.
 */
export function resolveMode(spec: JsonObject): { readonly mode: Mode; readonly problems: readonly Problem[] } {
  const problems: Problem[] = []
  const statements = [...moduleStatements(spec, problems), ...componentStatements(spec, problems)]
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

function moduleStatements(spec: JsonObject, problems: Problem[]): Statement[] {
  const statements: Statement[] = []
  for (const { path, module } of enabledModules(spec)) {
    const value = at(miscOf(module), 'global-sidecar-mode')
    if (value === undefined) continue
    const statement = state(`${path}.global.misc.global-sidecar-mode`, value, 'namespace, cluster or no', problems)
    if (statement !== undefined) statements.push(statement)
  }
  return statements
}

function componentStatements(spec: JsonObject, problems: Problem[]): Statement[] {
  const component = at(spec, 'component', 'globalSidecar')
  if (!isJsonObject(component)) return []
  if (at(component, 'enable') === false) return [{ path: `${SIDECAR}.enable`, value: false, mode: 'none' }]
  const type = at(component, 'type')
  const saidElsewhere = enabledModules(spec).some(({ module }) => at(miscOf(module), 'global-sidecar-mode') !== undefined)
  if (type === undefined && saidElsewhere) return []
  const statement = state(`${SIDECAR}.type`, type, 'namespaced or cluster', problems)
  return statement === undefined ? [] : [statement]
}

function state(path: string, value: unknown, choices: string, problems: Problem[]): Statement | undefined {
  const mode = parseMode(value)
  if (mode !== undefined) return { path, value, mode }
  problems.push(problem(path, `must be ${choices}, got ${show(value)}.`))
  return undefined
}
