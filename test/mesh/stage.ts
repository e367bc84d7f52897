/** The tutorial's mesh: Istio, bookinfo in it, and what one sees with kubectl and in the logs of the proxies. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import type { CallAnswer } from '../../local-cluster/mesh/agent.ts'
import type { KubeletPod } from '../../local-cluster/mesh/running-pod.ts'
import { type Mesh, startMesh } from '../../local-cluster/mesh/mesh.ts'
import type { Image } from '../../local-cluster/mesh/pod.ts'
import { eventually } from '../helpers/eventually.ts'
import { assembleImage } from '../helpers/image.ts'
import { ROOT, runCommand } from '../helpers/scripts.ts'
import { requirePrograms } from './requirements.ts'

const BOOKINFO = join(ROOT, 'local-cluster/mesh/programs/bookinfo.ts')
const NODE = '/usr/local/bin/node'
const PATIENT = { timeout: 60_000, interval: 100 }

export interface Stage extends AsyncDisposable {
  readonly mesh: Mesh
  /** Its standard output; fails when kubectl does. */
  readonly kubectl: (...args: readonly string[]) => Promise<string>
  /** An object as `kubectl get -o json` gives it. */
  readonly get: (...args: readonly string[]) => Promise<any>
  /** The pod with label `app`, or `app-version`; there must be one. */
  readonly pod: (app: string) => KubeletPod
  /**
   * HTTP from the application of this pod, through its proxy, over a connection of its own. The name in the URL is looked up as the
   * label `app`; a name that nobody has leads to one of reviews, but for what a proxy does with it.
   */
  readonly call: (app: string, url: string) => Promise<CallAnswer>
  /** Lines of the access log of a pod's proxy, from its start or from `since` on, as `METHOD PATH STATUS CLUSTER`. */
  readonly accessLog: (app: string) => readonly string[]
  /** GET on the admin port of a pod's proxy. */
  readonly admin: (app: string, path: string) => Promise<string>
  /** A counter or gauge of a pod's proxy. */
  readonly stat: (app: string, name: string) => Promise<number>
  /** Whether a pod's proxy has a cluster for this service of bookinfo. */
  readonly knows: (app: string, service: string) => Promise<boolean>
  /** Configuration that a proxy has refused, each with the reason. */
  readonly rejected: () => Promise<readonly string[]>
  /** Waits up to a minute until `check` does not throw. */
  readonly eventually: <Result>(check: () => Result | Promise<Result>) => Promise<Result>
}

export interface StageOptions {
  /** How further images run. */
  readonly image?: (name: string) => Image | undefined
  /** The applications, a file for kubectl in namespace default (default: bookinfo). */
  readonly applications?: string
}

/** Starts it all; resolves when the applications are ready. */
export async function setStage({ image: further, applications = join(ROOT, 'samples/bookinfo.yaml') }: StageOptions = {}): Promise<Stage> {
  requirePrograms(['kubectl', 'curl', 'bash'])
  const ours = await assembleImage()
  const image = (name: string): Image | undefined => {
    const service = /\/examples-bookinfo-(.+):/.exec(name)?.[1]
    if (service !== undefined) {
      const program = '/usr/local/lib/bookinfo.ts'
      return { entrypoint: [NODE, program, service], files: { [NODE]: process.execPath, [program]: BOOKINFO } }
    }
    if (!/^docker\.io\/slimeio\/slime-(boot|lazyload):/.test(name)) return further?.(name)
    const { entrypoint, cmd, root, user } = ours
    return { entrypoint, cmd, root, uid: Number.parseInt(user), files: { '/nodejs/bin/node': process.execPath } }
  }
  const mesh = await startMesh({ image, settings: ['meshConfig.accessLogFile=/dev/stdout'] })
  const kubectl = async (...args: readonly string[]): Promise<string> => {
    const { code, output } = await runCommand('kubectl', args, { kubeconfig: mesh.cluster.kubeconfig })
    assert.equal(code, 0, `kubectl ${args.join(' ')}: ${output}`)
    return output
  }
  const pod = (app: string): KubeletPod => {
    const found = mesh.kubelet.pods().filter(({ labels }) => labels['app'] === app || `${labels['app']}-${labels['version']}` === app)
    assert.equal(found.length, 1, `pods of ${app}`)
    return found[0]!
  }
  const stage: Stage = {
    mesh,
    kubectl,
    get: async (...args) => JSON.parse(await kubectl('get', ...args, '-o', 'json')),
    pod,
    call: async (app, url) => {
      const { host, hostname, pathname } = new URL(url)
      const pods = mesh.kubelet.pods()
      const { ip } = pods.find(({ labels }) => labels['app'] === hostname.split('.')[0]) ?? pod('reviews-v2')
      const headers = { host, connection: 'close' }
      return await pod(app).place.app().call(`http://${ip}:9080${pathname}`, { headers })
    },
    accessLog: (app) =>
      pod(app)
        .log('istio-proxy')
        .split('\n')
        .flatMap((line) => {
          // the format of https://istio.io/latest/docs/tasks/observability/logs/access-log/#default-access-log-format
          const words = /^\[\S+\] "(\S+) (\S+) \S+" (\d+) .*" "[^"]*" (\S+)( \S+){5}$/.exec(line)
          return words === null ? [] : [words.slice(1, 5).join(' ')]
        }),
    admin: async (app, path) => (await pod(app).place.app().call(`http://127.0.0.1:15000${path}`)).text,
    stat: async (app, name) => {
      const line = (await stage.admin(app, `/stats?filter=^${name}$`)).trim()
      assert.ok(line.startsWith(`${name}: `), `${app} has no stat ${name}`)
      return Number(line.slice(name.length + 2))
    },
    knows: async (app, service) => (await stage.admin(app, '/clusters')).includes(`outbound|9080||${service}.default.svc.cluster.local::`),
    rejected: async () => {
      const proxies = mesh.kubelet.pods().filter(({ labels }) => labels['security.istio.io/tlsMode'] !== undefined)
      const found = await Promise.all(
        proxies.map(async (each) => {
          const { text } = await each.place.app().call('http://127.0.0.1:15000/stats?filter=update_rejected')
          const refused = text.split('\n').filter((line) => /: [1-9]/.test(line))
          return refused.length === 0 ? [] : [`${each.name}: ${refused.join(', ')}: ${reasons(each.log('istio-proxy'))}`]
        }),
      )
      return found.flat()
    },
    eventually: async (check) => await eventually(check, PATIENT),
    [Symbol.asyncDispose]: mesh[Symbol.asyncDispose],
  }
  try {
    await kubectl('label', 'namespace', 'default', 'istio-injection=enabled')
    await kubectl('apply', '-f', applications)
    await kubectl('wait', '-n', 'default', '--for=condition=Available', 'deployment', '--all', '--timeout=120s')
    return stage
  } catch (error) {
    await mesh[Symbol.asyncDispose]()
    throw error
  }
}

/** What Envoy said about configuration that it did not take. */
function reasons(log: string): string {
  return log
    .split('\n')
    .filter((line) => line.includes('rejected'))
    .slice(-3)
    .join('; ')
}
