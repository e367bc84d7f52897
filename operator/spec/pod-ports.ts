/** Ports of a module's pod. A module may say where its program listens, the spec may say it for all: one fact, told to both sides. */
import type { Address } from '../../runtime/health-server.ts'
import type { JsonObject } from '../../runtime/object.ts'
import { at, numberAt } from '../../module/read.ts'
import { DEFAULTS } from './defaults.ts'
import { settingOf } from './modules.ts'
import { problem, type Problem, show } from './problems.ts'

export interface PodPorts {
  /** The kubelet probes here. */
  readonly probe: number
  /** Access logs arrive here. */
  readonly logSource: number
}

interface PortFact {
  readonly setting: 'auxAddress' | 'logSourceAddress'
  readonly field: 'healthProbePort' | 'logSourcePort'
  /** Who comes to the pod's own address, for messages. */
  readonly who: string
}

const PROBE: PortFact = { setting: 'auxAddress', field: 'healthProbePort', who: 'the kubelet probes the pod there' }
const LOG: PortFact = { setting: 'logSourceAddress', field: 'logSourcePort', who: 'global-sidecars send their logs to the pod there' }
const ALL_ADDRESSES: ReadonlySet<string | undefined> = new Set([undefined, '0.0.0.0', '::'])

/** `run`: what the module's process runs (modules.ts). */
export function podPorts(spec: JsonObject, run: JsonObject): PodPorts {
  return { probe: portOf(spec, run, PROBE), logSource: portOf(spec, run, LOG) }
}

/** The name under which another port of the module's process is found in the spec: where it is said, else the field for all. */
export function placeOfPort(path: string, run: JsonObject, name: keyof PodPorts): string {
  const { setting, field } = name === 'probe' ? PROBE : LOG
  const { said } = settingOf(run, setting)
  return said === undefined ? `spec.${field}` : `${path}.${said.place}`
}

/** Where the two sides would miss each other. `path`: of the module. */
export function podPortProblems(spec: JsonObject, path: string, run: JsonObject): Problem[] {
  const facts = settingOf(run, 'source').value === 'accesslog' ? [PROBE, LOG] : [PROBE]
  return facts.flatMap((fact) => {
    const { value, said } = settingOf(run, fact.setting)
    if (said === undefined) return []
    const place = `${path}.${said.place}`
    if (!reachable(value))
      return [
        problem(place, `must be an address such as :${DEFAULTS[fact.field] as number}, because ${fact.who}, got ${show(said.value)}.`),
      ]
    const field = saidPort(spec, fact)
    return field === undefined || field === value.port
      ? []
      : [problem(`spec.${fact.field}`, `is ${field}, but ${place} is ${show(said.value)}. Write one of them.`)]
  })
}

function portOf(spec: JsonObject, run: JsonObject, fact: PortFact): number {
  const { value, said } = settingOf(run, fact.setting)
  return said !== undefined && reachable(value) ? value.port : (numberAt(spec, fact.field) ?? Number(DEFAULTS[fact.field]))
}

function reachable(address: Address | undefined): address is Address {
  return address !== undefined && address.port > 0 && ALL_ADDRESSES.has(address.host)
}

/** What the built-in defaults say too was said by nobody. */
function saidPort(spec: JsonObject, { field }: PortFact): number | undefined {
  return at(spec, field) === DEFAULTS[field] ? undefined : numberAt(spec, field)
}
