/** Checks on the controller's pod: volumes, mounts, the module's text settings. */
import { isJsonObject, type Json } from '../../../runtime/object.ts'
import { enabledModules, runBy } from '../modules.ts'
import { placeOfPort, podPorts } from '../pod-ports.ts'
import { programProblems } from '../programs.ts'
import { child, problem, type Problem, show } from '../problems.ts'
import { listAt, numberAt, objectAt, textAt } from '../../../module/read.ts'
import type { CheckInput } from './check.ts'

/** Volume of the module's configuration, which the operator adds. */
const CONFIG_VOLUME = 'config-volume'
const CONFIG_PATH = '/etc/slime/config'
/** What the rendered pod tells the program about itself (templates/module/deployment.yaml.hbs). */
const OUR_VARIABLES: ReadonlySet<string> = new Set(['WATCH_NAMESPACE', 'POD_NAME', 'OPERATOR_NAME', 'LAZYLOAD_NAMESPACES'])
/** containerPort `http`. */
const HTTP_PORT = 80

/** Ports of one Service and of one container: the API server answers a repeated one with an internal error. */
export function controllerPorts({ spec }: CheckInput): Problem[] {
  const logSource = numberAt(spec, 'service', 'logSourcePort')
  const ofService =
    logSource !== undefined && logSource === numberAt(spec, 'service', 'port') ? [takenPort('spec.service.logSourcePort', logSource)] : []
  const ofPods = enabledModules(spec).flatMap(({ path, module }) => {
    const run = runBy(spec, module)
    const ports = podPorts(spec, run)
    return [
      ...(ports.probe === HTTP_PORT ? [takenPort(placeOfPort(path, run, 'probe'), ports.probe)] : []),
      ...([HTTP_PORT, ports.probe].includes(ports.logSource) ? [takenPort(placeOfPort(path, run, 'logSource'), ports.logSource)] : []),
    ]
  })
  return [...ofService, ...ofPods]
}

function takenPort(path: string, port: number): Problem {
  return problem(path, `is ${port}, which another port of the module has. Choose another.`)
}

export function volumes({ spec }: CheckInput): Problem[] {
  const first = new Map<string, number>()
  return objects(listAt(spec, 'volumes')).flatMap(({ value, index }) => {
    const path = `spec.volumes[${index}].name`
    const name = textAt(value, 'name')
    if (name === undefined || name === '') return [problem(path, 'is required.')]
    if (name === CONFIG_VOLUME)
      return [problem(path, `must not be ${show(name)}, which holds the module's configuration. Choose another name.`)]
    const earlier = first.get(name)
    if (earlier !== undefined) return [problem(path, `is ${show(name)}, the name of spec.volumes[${earlier}] too. Give each its own name.`)]
    first.set(name, index)
    return []
  })
}

export function volumeMounts({ spec }: CheckInput): Problem[] {
  const known = new Set([CONFIG_VOLUME, ...listAt(spec, 'volumes').map((volume) => textAt(volume, 'name'))])
  const paths = new Map([[CONFIG_PATH, "the module's configuration"]])
  const lists = [['containers', 'slime', 'volumeMounts'], ['volumeMounts']]
  const mounts = lists.flatMap((keys) => objects(listAt(spec, ...keys)).map((each) => ({ ...each, list: `spec.${keys.join('.')}` })))
  return mounts.flatMap(({ value, index, list }) => {
    const path = `${list}[${index}]`
    const name = textAt(value, 'name')
    const mountPath = textAt(value, 'mountPath') ?? ''
    const problems: Problem[] = []
    if (!known.has(name)) problems.push(problem(`${path}.name`, `must be the name of an entry of spec.volumes, got ${show(name)}.`))
    if (mountPath === '')
      problems.push(problem(`${path}.mountPath`, 'is required. Write the folder in the container, for example "/tmp/log".'))
    const earlier = paths.get(mountPath)
    if (earlier !== undefined)
      problems.push(problem(`${path}.mountPath`, `is ${show(mountPath)}, where ${earlier} is mounted. Choose another folder.`))
    else paths.set(mountPath, path)
    return problems
  })
}

/** Of the container; those that the operator sets itself cannot be set twice. */
export function environment({ spec }: CheckInput): Problem[] {
  const first = new Map<string, number>()
  return objects(listAt(spec, 'env')).flatMap(({ value, index }) => {
    const path = `spec.env[${index}].name`
    const name = textAt(value, 'name')
    if (name === undefined || !/^[-._a-zA-Z][-._a-zA-Z0-9]*$/.test(name))
      return [problem(path, `must be the name of an environment variable, got ${show(name)}.`)]
    if (OUR_VARIABLES.has(name)) return [problem(path, `must not be ${show(name)}, which the operator sets. Remove it.`)]
    const earlier = first.get(name)
    if (earlier !== undefined) return [problem(path, `is ${show(name)}, the name of spec.env[${earlier}] too. Write it once.`)]
    first.set(name, index)
    return []
  })
}

/** The program reads text, numbers and booleans there, and ends where it finds anything else. */
export function miscSettings({ modules }: CheckInput): Problem[] {
  return modules.flatMap(({ path, module }) =>
    Object.entries(objectAt(module, 'global', 'misc'))
      .filter(([, value]) => typeof value === 'object' && value !== null)
      .map(([key, value]) => problem(child(`${path}.global.misc`, key), `must be text, got ${show(value)}.`)),
  )
}

/** Whatever would end a lazyload program at its start. */
export function programs({ spec, mode }: CheckInput): Problem[] {
  return programProblems(spec, mode)
}

function objects(list: readonly Json[]): { value: Json; index: number }[] {
  return list.flatMap((value, index) => (isJsonObject(value) ? [{ value, index }] : []))
}
