/** A container that ended because its memory was not enough, and where its limit is set. Pure. */
import type { KubeObject } from '../../runtime/object.ts'
import { amountOf } from '../../runtime/quantity.ts'

interface Terminated {
  readonly reason?: string
  readonly exitCode?: number
}

export interface EndedContainer {
  readonly name: string
  readonly ready?: boolean
  readonly restartCount?: number
  readonly state?: { readonly terminated?: Terminated }
  readonly lastState?: { readonly terminated?: Terminated }
}

/** The container runtime's word for it; exit code 137 alone can also be a probe that failed. */
export const OOM_KILLED = 'OOMKilled'
/** From then on the exact number says nothing new, and a message that changes is a write. */
const MANY_RESTARTS = 10
const MIB = 2 ** 20
const GLOBAL_SIDECAR = 'global-sidecar'

/** `OOMKilled: …` with exit code, restarts, limit and what to set; undefined unless that is what ended the container last, and it is not ready since. */
export function outOfMemory(pod: KubeObject, container: EndedContainer, deployment: string | undefined): string | undefined {
  if (container.ready === true) return undefined
  const ended = container.state?.terminated ?? container.lastState?.terminated
  if (ended?.reason !== OOM_KILLED) return undefined
  const limit = memoryLimit(pod, container.name)
  const restarts = container.restartCount ?? 0
  const often = restarts === 0 ? '' : `, restarted ${restarts < MANY_RESTARTS ? timesOf(restarts) : `${MANY_RESTARTS} times or more`}`
  const head = `${OOM_KILLED}: exit code ${ended.exitCode ?? '?'}${often}`
  if (limit === undefined) return `${head}. It has no memory limit, so its node ran out of memory. ${limitAdvice(deployment, undefined)}`
  return `${head}. Its memory limit of ${limit} is too low. ${limitAdvice(deployment, limit)}`
}

function timesOf(count: number): string {
  return count === 1 ? 'once' : `${count} times`
}

interface ContainerSpec {
  readonly name: string
  readonly resources?: { readonly limits?: { readonly memory?: string | number } }
}

function memoryLimit(pod: KubeObject, container: string): string | undefined {
  const { containers = [], initContainers = [] } = (pod['spec'] ?? {}) as Record<string, readonly ContainerSpec[] | undefined>
  const found = [...containers, ...initContainers].find(({ name }) => name === container)?.resources?.limits?.memory
  return found === undefined ? undefined : String(found)
}

/** What to set, by the Deployment that we render; twice the limit is a first try. */
function limitAdvice(deployment: string | undefined, limit: string | undefined): string {
  const path = pathOf(deployment)
  const amount = amountOf(limit)
  const estimate = deployment === GLOBAL_SIDECAR ? '; "slimeboot preflight" estimates what it needs' : ''
  if (amount === undefined || amount === 0) return `Set ${path}.requests.memory and ${path}.limits.memory to what it needs${estimate}.`
  return `Set ${path}.limits.memory higher, for example to ${Math.ceil((2 * amount) / MIB)}Mi${estimate}.`
}

function pathOf(deployment: string | undefined): string {
  if (deployment === GLOBAL_SIDECAR) return 'spec.component.globalSidecar.resources'
  return deployment === 'global-sidecar-pilot' ? 'spec.component.pilot.resources' : 'spec.resources'
}
