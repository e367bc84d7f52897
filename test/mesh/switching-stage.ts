/** What switching lazyload on could break: callers, one destination of each kind, and what a call of each kind brings. */
import { join } from 'node:path'
import { eventually } from '../helpers/eventually.ts'
import { ROOT } from '../helpers/scripts.ts'
import { setStage, type Stage } from './stage.ts'

const PROGRAMS = join(ROOT, 'local-cluster/mesh/programs')
const NODE = '/usr/local/bin/node'
const ECHO = '/usr/local/lib/echo.ts'

/** In words, so that outcomes can be compared: `200 server:9080`, `503`, `hello`, `no answer`. */
export type Outcome = string

export interface Destination {
  readonly title: string
  /** Label `app` of the pod that calls. */
  readonly from: 'caller' | 'unfenced' | 'closed'
  readonly call: () => Promise<Outcome>
}

export interface SwitchingStage extends Stage {
  readonly destinations: readonly Destination[]
  /** HTTP/1.1 from the application of a pod to the Service `to`, else to the pod `to`. */
  readonly http: (from: string, to: string, options?: HttpOptions) => Promise<Answer>
  /** One of programs/client.ts. */
  readonly client: (from: string, ...args: readonly string[]) => Promise<Outcome>
}

export interface HttpOptions {
  readonly port?: number
  /** Default: the address and port. */
  readonly host?: string
  readonly headers?: Readonly<Record<string, string>>
}

export interface Answer {
  readonly outcome: Outcome
  /** What the server has received; empty where no server answered. */
  readonly received: Readonly<Record<string, string>>
}

export async function setSwitchingStage(): Promise<SwitchingStage> {
  const stage = await setStage({
    applications: join(import.meta.dirname, 'switching-on.yaml'),
    image: (name) =>
      name === 'echo:1' ? { entrypoint: [NODE, ECHO], files: { [NODE]: process.execPath, [ECHO]: join(PROGRAMS, 'echo.ts') } } : undefined,
  })
  const clusterIps = new Map<string, string>()
  /** Where an application connects to: the address of a Service, which only proxies know here, or of a pod. */
  const ipOf = (name: string): string => {
    const ip = clusterIps.get(name)
    return ip === undefined || ip === 'None' ? stage.pod(name).ip : ip
  }
  const learnAddresses = async (): Promise<void> => {
    const { items } = await stage.get('services', '-n', 'default')
    for (const { metadata, spec } of items) clusterIps.set(metadata.name, spec.clusterIP)
  }
  await learnAddresses()
  const http: SwitchingStage['http'] = async (from, to, { port = 9080, host, headers = {} } = {}) => {
    if (to === 'global-sidecar') await learnAddresses()
    const url = `http://${ipOf(to)}:${port}/`
    try {
      const { status, text } = await stage
        .pod(from)
        .place.app()
        .call(url, { headers: { host: host ?? `${ipOf(to)}:${port}`, connection: 'close', ...headers } })
      if (status !== 200) return { outcome: String(status), received: {} }
      const { name, headers: received } = JSON.parse(text) as { readonly name: string; readonly headers: Record<string, string> }
      return { outcome: `${status} ${name}`, received }
    } catch (error) {
      return { outcome: error instanceof Error ? error.message : String(error), received: {} }
    }
  }
  const client: SwitchingStage['client'] = async (from, ...args) =>
    await stage.pod(from).place.run(process.execPath, [join(PROGRAMS, 'client.ts'), ...args])

  const byHttp = (title: string, from: Destination['from'], to: string, options: HttpOptions = {}): Destination => ({
    title,
    from,
    call: async () => (await http(from, to, options)).outcome,
  })
  const byTcp = (title: string, to: string, port: number): Destination => ({
    title,
    from: 'caller',
    call: async () => await client('caller', 'tcp', ipOf(to), String(port)),
  })
  const destinations: readonly Destination[] = [
    byHttp('HTTP Service on a wormhole port', 'caller', 'plain', { host: 'plain.default:9080' }),
    byHttp('Service with exportTo "."', 'caller', 'hidden', { host: 'hidden:9080' }),
    byTcp('TCP Service', 'mysql', 3306),
    byTcp('TCP Service, headless', 'server', 3307),
    byHttp('HTTP on a port that is no wormhole port', 'caller', 'web-8000', { host: 'web-8000.default:8000', port: 8000 }),
    byHttp('headless HTTP Service', 'caller', 'web', { host: 'web:9080' }),
    byHttp('ServiceEntry with resolution NONE', 'caller', 'outside', { host: 'none.example:9080' }),
    byHttp('port called tcp- that speaks HTTP', 'caller', 'called-tcp', { host: 'called-tcp:9080' }),
    byHttp('pod of a StatefulSet by its name', 'caller', 'web', { host: 'web-0.web.default.svc.cluster.local:9080' }),
    byHttp('pod of a StatefulSet by its short name', 'caller', 'web', { host: 'web-0.web:9080' }),
    byHttp('port without a protocol in its name', 'caller', 'unnamed', { host: 'unnamed:9080' }),
    byHttp('VirtualService with sourceNamespace', 'caller', 'routed-by-namespace', { host: 'routed-by-namespace:9080' }),
    byHttp('pod in the mesh by its address', 'caller', 'server'),
    byHttp('pod in the mesh by its address', 'unfenced', 'server'),
    byHttp('pod outside the mesh by its address', 'caller', 'outside'),
    byHttp('pod outside the mesh by its address', 'unfenced', 'outside'),
    byHttp('host outside the mesh', 'caller', 'outside', { host: 'api.example:9080' }),
    byHttp('host outside the mesh', 'unfenced', 'outside', { host: 'api.example:9080' }),
    byHttp('host outside the mesh on another port', 'caller', 'outside', { host: 'api.example:8000', port: 8000 }),
    byHttp('host outside the mesh, namespace REGISTRY_ONLY', 'closed', 'outside', { host: 'api.example:9080' }),
    byHttp('HTTP Service, namespace REGISTRY_ONLY', 'closed', 'plain', { host: 'plain.default:9080' }),
    byHttp('VirtualService with sourceLabels', 'caller', 'routed', { host: 'routed:9080' }),
  ]
  await eventually(async () => await stage.kubectl('wait', '--for=condition=Ready', 'pod', '--all', '-A', '--timeout=60s'), {
    timeout: 120_000,
    interval: 500,
  })
  return { ...stage, destinations, http, client }
}
