/** Checks on the controller's pod: volumes, mounts, the module's text settings. */
import { isJsonObject, type Json } from '../../../runtime/object.ts'
import { metricSourceOf, miscOf } from '../modules.ts'
import { child, problem, type Problem, show } from '../problems.ts'
import { listAt, numberAt, textAt } from '../read.ts'
import type { CheckInput } from './check.ts'

/** Volume of the module's configuration, which the operator adds. */
const CONFIG_VOLUME = 'config-volume'
const CONFIG_PATH = '/etc/slime/config'
/** containerPort `http`. */
const HTTP_PORT = 80

/** Ports of one Service and of one container: the API server answers a repeated one with an internal error. */
export function controllerPorts({ spec }: CheckInput): Problem[] {
  const taken = (path: readonly string[], others: readonly (number | undefined)[]): Problem[] => {
    const port = numberAt(spec, ...path)
    if (port === undefined || !others.includes(port)) return []
    return [problem(`spec.${path.join('.')}`, `is ${port}, which another port of the module has. Choose another.`)]
  }
  return [
    ...taken(['service', 'logSourcePort'], [numberAt(spec, 'service', 'port')]),
    ...taken(['healthProbePort'], [HTTP_PORT]),
    ...taken(['logSourcePort'], [HTTP_PORT, numberAt(spec, 'healthProbePort')]),
  ]
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
  return objects(listAt(spec, 'containers', 'slime', 'volumeMounts')).flatMap(({ value, index }) => {
    const path = `spec.containers.slime.volumeMounts[${index}]`
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

export function miscSettings({ modules }: CheckInput): Problem[] {
  return modules.flatMap(({ path, module }) => {
    const misc = `${path}.global.misc`
    const structured = Object.entries(miscOf(module)).filter(([, value]) => typeof value === 'object' && value !== null)
    const source = metricSourceOf(module)
    return [
      ...structured.map(([key, value]) => problem(child(misc, key), `must be text, got ${show(value)}.`)),
      ...(source === 'prometheus' || source === 'accesslog'
        ? []
        : [problem(`${misc}.metric_source_type`, `must be prometheus or accesslog, got ${show(source)}.`)]),
    ]
  })
}

function objects(list: readonly Json[]): { value: Json; index: number }[] {
  return list.flatMap((value, index) => (isJsonObject(value) ? [{ value, index }] : []))
}
