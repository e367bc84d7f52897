/** Where the tutorial is read: a mesh with nothing in it, a shell in a checkout, and the project's releases on a server of this machine. */
import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { type Mesh, startMesh } from '../../local-cluster/mesh/mesh.ts'
import type { Image } from '../../local-cluster/mesh/pod.ts'
import { VERSION } from '../../operator/version.ts'
import { podImages } from '../helpers/image.ts'
import { findPrometheus } from '../helpers/prometheus-binary.ts'
import { ROOT } from '../helpers/scripts.ts'
import { type Shell, startShell } from '../helpers/shell.ts'
import { installPrograms } from './reader-programs.ts'
import { requirePrograms } from './requirements.ts'

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
  requirePrograms(['kubectl', 'curl', 'bash'])
  const folder = mkdtempSync(join(realpathSync(tmpdir()), 'slimeboot-tutorial-'))
  const mesh = await startMesh({ image: await images(folder) })
  const releases = createReleases().listen(0, '127.0.0.1')
  await once(releases, 'listening')
  const programs = await installPrograms(mesh)
  for (const name of CHECKOUT) symlinkSync(join(ROOT, name), join(folder, name))
  const base = `http://127.0.0.1:${(releases.address() as AddressInfo).port}`
  const shell = startShell({
    cwd: folder,
    env: {
      PATH: `${programs.folder}${delimiter}${process.env['PATH']}`,
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
      programs[Symbol.dispose]()
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
