/** validate: every error and warning of a SlimeBoot's spec at once; types by the CRD's schema, the rest by a table of checks. */
import { isJsonObject, type JsonObject, type KubeObject } from '../../runtime/object.ts'
import { mergedSpec, shapeOf, type ValuesOptions } from './build-values.ts'
import type { CheckInput, ErrorCheck, WarningCheck } from './checks/check.ts'
import { controllerPorts, environment, miscSettings, programs, volumeMounts, volumes } from './checks/controller.ts'
import { clusterNamespaces, meshRoot, modes, namespaceList, pilotNamespace, replicas, revision } from './checks/global-sidecar.ts'
import { foundPorts } from './checks/found-ports.ts'
import { bundleItems, clusterRoles, images, moduleNames, namespaces, servedNamespaces } from './checks/names.ts'
import { dispatches, repeatedDomains, wormholePorts } from './checks/ports.ts'
import {
  hiddenHosts,
  metricSource,
  noPorts,
  nothingEnabled,
  pilotTooOld,
  repeatedPorts,
  sharedFences,
  unknownHosts,
  unlikelyClusters,
  unusedSettings,
  notRun,
  upstreamImage,
} from './checks/warnings.ts'
import { quantities } from './checks/resources.ts'
import { excessOf } from './limits.ts'
import { resolveMode } from './mode.ts'
import { enabledModules } from './modules.ts'
import type { ClusterFacts } from './cluster-facts.ts'
import { problem, type Problem, show, type Warning } from './problems.ts'
import { pruneNulls } from './prune-nulls.ts'
import { schemaProblems } from './schema-check.ts'
import { unknownKeys } from './unknown-keys.ts'

export interface Verdict {
  readonly errors: readonly Problem[]
  readonly warnings: readonly Warning[]
}

const ERROR_CHECKS: readonly ErrorCheck[] = [
  images,
  moduleNames,
  namespaces,
  servedNamespaces,
  modes,
  namespaceList,
  meshRoot,
  pilotNamespace,
  bundleItems,
  clusterRoles,
  clusterNamespaces,
  replicas,
  revision,
  controllerPorts,
  quantities,
  wormholePorts,
  dispatches,
  repeatedDomains,
  volumes,
  volumeMounts,
  environment,
  miscSettings,
  programs,
]
const WARNING_CHECKS: readonly WarningCheck[] = [
  nothingEnabled,
  sharedFences,
  repeatedPorts,
  noPorts,
  foundPorts,
  metricSource,
  unknownHosts,
  unlikelyClusters,
  pilotTooOld,
  hiddenHosts,
  unusedSettings,
  notRun,
  upstreamImage,
]

/** Deeper JSON is refused: what reads a spec later may recurse. */
const MAX_DEPTH = 64

/** Judges `boot.spec`, whatever JSON it is; never throws. Each path has one error at most. */
export function validate(boot: KubeObject, facts: ClusterFacts = {}, options: ValuesOptions = {}): Verdict {
  const { spec } = boot
  const honoured = facts.honouredNamespace
  if (honoured !== undefined && boot.metadata.namespace !== honoured)
    return refused(
      problem(
        'metadata.namespace',
        `must be ${show(honoured)}, the operator's own, on Kubernetes before 1.30, where nothing checks the rights of who writes a SlimeBoot. Move it there, or upgrade the cluster.`,
        'NamespaceNotHonoured',
      ),
    )
  if (spec === undefined || spec === null)
    return refused(problem('spec', 'is required. Write at least spec.image.repository and spec.module.'))
  if (!isJsonObject(spec)) return refused(problem('spec', `must be a map, got ${show(spec)}.`))
  const excess = excessOf(spec)
  if (excess.length > 0) return { errors: excess, warnings: [] }
  if (isDeep(spec)) return refused(problem('spec', `must not be nested deeper than ${MAX_DEPTH} levels.`))
  const merged = mergedSpec(boot, options)
  const input = checkInput(merged, facts)
  const errors = [...schemaProblems(pruneNulls(spec)), ...schemaProblems(merged), ...ERROR_CHECKS.flatMap((check) => check(input))]
  const warnings = [...unknownKeys(spec), ...WARNING_CHECKS.flatMap((check) => check(input))]
  return { errors: onePerPath(errors), warnings }
}

function checkInput(spec: JsonObject, facts: ClusterFacts): CheckInput {
  return { spec, modules: enabledModules(spec), mode: resolveMode(spec).mode, shape: shapeOf(spec), facts }
}

function refused(error: Problem): Verdict {
  return { errors: [error], warnings: [] }
}

/** The first error of a path; errors below a path that already has one say the same in other words. */
function onePerPath(errors: readonly Problem[]): Problem[] {
  const byPath = new Map<string, Problem>()
  for (const error of errors) {
    if (!parentsOf(error.path).some((path) => byPath.has(path))) byPath.set(error.path, error)
  }
  return [...byPath.values()]
}

/** A path and the paths above it: `spec.a[0]`, `spec.a`, `spec`. */
function parentsOf(path: string): string[] {
  const ends = [...path.matchAll(/[.[]/g)].map((match) => match.index)
  return [...ends.map((end) => path.slice(0, end)), path]
}

function isDeep(value: unknown): boolean {
  let level: unknown[] = [value]
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > MAX_DEPTH) return true
    level = level.flatMap((item) => (typeof item === 'object' && item !== null ? Object.values(item) : []))
  }
  return false
}
