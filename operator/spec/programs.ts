/** What the lazyload programs will make of a spec: each module is read as the pod reads its file, with the same code (module/). */
import { chooseItem, withBundle } from '../../module/bundle.ts'
import { type ModuleReading, readModule } from '../../module/config.ts'
import { isBundle, isLazyload, nameOf, processOf } from '../../module/element.ts'
import { valueAt } from '../../module/setting.ts'
import { SETTINGS } from '../../module/settings.ts'
import type { JsonObject } from '../../runtime/object.ts'
import { configured } from './module-config.ts'
import { enabledModules, itemNamed, type PlacedModule, runBy } from './modules.ts'
import { podPortProblems } from './pod-ports.ts'
import { problem, type Problem } from './problems.ts'
import type { Mode } from './values.ts'

/** Where the operator takes from what it writes into a module that does not say it. */
const DERIVED_FROM: ReadonlyMap<string, string> = new Map([
  [SETTINGS.auxAddress.places[0], 'spec.healthProbePort'],
  [SETTINGS.logSourceAddress.places[0], 'spec.logSourcePort'],
  [SETTINGS.slimeNamespace.places[0], 'spec.namespace'],
  [SETTINGS.istioNamespace.places[0], 'spec.istioNamespace'],
])

/** An enabled lazyload module that is no bundle. */
export interface Program extends PlacedModule {
  /** The element whose process runs it: itself, or its bundle. */
  readonly process: PlacedModule
  readonly reading: ModuleReading
}

export function programsOf(spec: JsonObject, mode: Mode): Program[] {
  const enabled = enabledModules(spec)
  const modules = enabled.map(({ module }) => module)
  return enabled
    .filter(({ module }) => isLazyload(module) && !isBundle(module))
    .map(({ path, module }) => {
      const bundle = processOf(module, modules)
      const process = enabled.find((other) => other.module === bundle) ?? { path, module }
      const written = configured(module, spec, mode)
      const seen = bundle === module ? written : withBundle({ name: nameOf(module), module: written }, configured(bundle, spec, mode))
      return { path, module, process, reading: readModule(seen) }
    })
}

/** Whatever would end a program at its start, or let it listen where nobody comes. */
export function programProblems(spec: JsonObject, mode: Mode): Problem[] {
  return [
    ...bundleProblems(spec),
    ...programsOf(spec, mode).flatMap((program) => [...readingProblems(program), ...portProblems(spec, program)]),
  ]
}

function bundleProblems(spec: JsonObject): Problem[] {
  return enabledModules(spec)
    .filter(({ module }) => isBundle(module) && isLazyload(module))
    .flatMap(({ path, module }) =>
      chooseItem(module, (name) => itemNamed(spec, name)).problems.map(({ place, text }) => problemAt(path, place, text)),
    )
}

function readingProblems({ path, module, process, reading }: Program): Problem[] {
  return reading.problems.map(({ place, text }) => {
    if (valueAt(module, place) !== undefined) return problemAt(path, place, text)
    if (valueAt(process.module, place) !== undefined) return problemAt(process.path, place, text)
    // nobody wrote it into the module: it is derived
    const origin = DERIVED_FROM.get(place)
    return origin === undefined ? problemAt(path, place, text) : problemAt('', origin, text)
  })
}

function portProblems(spec: JsonObject, { path, process }: Program): Problem[] {
  return podPortProblems(spec, path, runBy(spec, process.module))
}

function problemAt(path: string, place: string, text: string): Problem {
  return problem([path, place].filter((part) => part !== '').join('.'), text.endsWith('.') ? text : `${text}.`)
}
