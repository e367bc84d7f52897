/**
 * Where the tutorial is read: a mesh with nothing in it, a shell in a checkout, and the project's releases on a server of this machine.
 * kubectl is the real one; for `exec` and `logs`, which need a kubelet that can be called, the test does what a kubelet would.
 */
import { chmodSync, existsSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import type { KubeletPod } from '../../local-cluster/mesh/running-pod.ts'
import { type Mesh, startMesh } from '../../local-cluster/mesh/mesh.ts'
import type { Image } from '../../local-cluster/mesh/pod.ts'
import { VERSION } from '../../operator/version.ts'
import { podImages } from '../helpers/image.ts'
import { findPrometheus } from '../helpers/prometheus-binary.ts'
import { ROOT } from '../helpers/scripts.ts'
import { type Shell, startShell } from '../helpers/shell.ts'

const BOOKINFO = join(ROOT, 'local-cluster/mesh/programs/bookinfo.ts')
const NODE = '/usr/local/bin/node'
const ENV = '/usr/bin/env'
const SHELL = '/bin/sh'
/** Debian's build cannot find pods, and a proxy that is no Istio build has nothing to say about calls: it answers, and knows nothing. */
const PROMETHEUS = 'exec prometheus --config.file=/etc/none.yml --storage.tsdb.path=/prometheus'
const TAG = `v${VERSION}`
const RELEASES = 'https://raw.githubusercontent.com/slime-io/lazyload'
const API = 'https://api.github.com'
/** What a reader has of a checkout. */
const CHECKOUT = ['deploy', 'samples', 'scripts']

export interface TutorialStage extends AsyncDisposable {
  readonly mesh: Mesh
  /** Commands of the tutorial, with its addresses on the web replaced by ones on this machine. */
  readonly run: Shell['run']
  /** Whether the proxy of this application of bookinfo has what its Sidecar lists: details or not. */
  readonly proxyFollows: (app: string) => Promise<boolean>
}

export async function setTutorialStage(): Promise<TutorialStage> {
  const folder = mkdtempSync(join(realpathSync(tmpdir()), 'slimeboot-tutorial-'))
  const mesh = await startMesh({ image: await images(folder) })
  const releases = await listen(createReleases(), 0)
  const socket = join(folder, 'kubelet.sock')
  const kubelet = await listen(createKubeletServer(mesh), socket)
  for (const name of CHECKOUT) symlinkSync(join(ROOT, name), join(folder, name))
  const bin = mkdtempSync(join(folder, 'bin-'))
  writeFileSync(join(bin, 'kubectl'), wrapper(socket))
  chmodSync(join(bin, 'kubectl'), 0o755)
  const base = `http://127.0.0.1:${(releases.address() as AddressInfo).port}`
  const shell = startShell({
    cwd: folder,
    env: {
      PATH: `${bin}${delimiter}${process.env['PATH']}`,
      HOME: folder,
      KUBECONFIG: mesh.cluster.kubeconfig,
      SLIMEBOOT_BASE_URL: base,
    },
  })
  return {
    mesh,
    run: async (commands) => await shell.run(commands.replaceAll(RELEASES, base).replaceAll(API, base)),
    proxyFollows: async (app) => {
      const { body } = await mesh.cluster.request('GET', `/apis/networking.istio.io/v1/namespaces/default/sidecars/${app}`)
      const listed = JSON.stringify(body.spec.egress).includes('/details.')
      const pod = mesh.kubelet.pods().find(({ labels }) => labels['app'] === app)
      const answer = await pod?.place.app().call('http://127.0.0.1:15000/clusters')
      return answer?.text.includes('||details.') === listed
    },
    [Symbol.asyncDispose]: async () => {
      await shell[Symbol.asyncDispose]()
      releases.close()
      kubelet.close()
      await mesh[Symbol.asyncDispose]()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Ours, bookinfo and Prometheus. */
async function images(folder: string): Promise<(name: string) => Image | undefined> {
  const [ours, prometheus] = await Promise.all([podImages(), findPrometheus()])
  const noTargets = join(folder, 'prometheus.yml')
  writeFileSync(noTargets, '{}')
  return (name) => {
    const service = /\/examples-bookinfo-(.+):/.exec(name)?.[1]
    if (service !== undefined) {
      const program = '/usr/local/lib/bookinfo.ts'
      return { entrypoint: [NODE, program, service], files: { [NODE]: process.execPath, [program]: BOOKINFO } }
    }
    if (name.includes('/prom/prometheus:'))
      return {
        entrypoint: [SHELL, '-c', PROMETHEUS],
        files: { [SHELL]: SHELL, '/bin/prometheus': prometheus, '/etc/none.yml': noTargets },
      }
    if (!name.includes('/slime-')) return undefined
    const image = ours(name)
    // nobody calls while lazyload is installed in another way: the proxies need not be waited for
    const entrypoint = [ENV, 'SLIMEBOOT_MESH_SETTLE=1s', ...image.entrypoint]
    return name.includes('/slime-boot:') ? { ...image, entrypoint, files: { ...image.files, [ENV]: ENV } } : image
  }
}

/** `/repos/…/tags`, and the files of this checkout under their tag. */
function createReleases(): Server {
  return createServer(({ url = '' }, response) => {
    if (url.endsWith('/tags')) {
      response.end(JSON.stringify([{ name: TAG, commit: { sha: 'abc' } }, { name: 'v0.0.1' }], null, 2))
      return
    }
    const file = join(ROOT, url.replace(`/${TAG}/`, ''))
    if (url.startsWith(`/${TAG}/`) && existsSync(file)) response.end(readFileSync(file))
    else response.writeHead(404).end('404: Not Found')
  })
}

/** Takes the arguments of kubectl, one a line. */
function createKubeletServer({ kubelet }: Mesh): Server {
  return createServer((request, response) => {
    void (async () => {
      const [verb, ...args] = (await text(request)).split('\n')
      const pod = podOf(kubelet.pods(), args)
      if (verb === 'logs') return logOf(pod, args)
      const [file = '', ...rest] = args.slice(args.indexOf('--') + 1)
      return await pod.place.run(file, rest)
    })().then(
      (output) => response.end(output),
      (error: unknown) => response.writeHead(500).end(String(error)),
    )
  })
}

/** The pod of `deployment/NAME` in the namespace after `-n`. */
function podOf(pods: readonly KubeletPod[], args: readonly string[]): KubeletPod {
  const namespace = args[args.indexOf('-n') + 1]
  const name = args.find((word) => word.startsWith('deployment/'))?.slice('deployment/'.length)
  const found = pods.find((pod) => pod.namespace === namespace && pod.name.startsWith(`${name}-`))
  if (found === undefined) throw new Error(`no pod of deployment ${name} in namespace ${namespace}`)
  return found
}

function logOf(pod: KubeletPod, args: readonly string[]): string {
  const lines = pod.log(args[args.indexOf('-c') + 1] ?? '').split('\n')
  const tail = args.find((word) => word.startsWith('--tail='))?.slice('--tail='.length)
  return tail === undefined ? lines.join('\n') : `${lines.filter(Boolean).slice(-Number(tail)).join('\n')}\n`
}

function wrapper(socket: string): string {
  const own = (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, 'kubectl'))
  const kubectl = own.find((file) => existsSync(file))
  if (kubectl === undefined) throw new Error('The tutorial needs kubectl: https://kubernetes.io/docs/tasks/tools/')
  return `#!/bin/sh
case $1 in
  exec | logs) exec curl -sS --fail-with-body --unix-socket ${socket} --data-binary "$(printf '%s\\n' "$@")" http://kubelet/ ;;
esac
exec ${kubectl} "$@"
`
}

async function listen(server: Server, where: number | string): Promise<Server> {
  if (typeof where === 'string') server.listen(where)
  else server.listen(where, '127.0.0.1')
  await once(server, 'listening')
  return server.unref()
}
