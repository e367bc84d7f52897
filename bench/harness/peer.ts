/** The peer: operator-framework's Helm operator of today, built from its Go module, with a small chart that gives the same six objects. */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { cacheFolder } from '../../local-cluster/binaries.ts'
import { goProblem, goRunner } from '../../local-cluster/build.ts'
import { withLock } from '../../local-cluster/lock.ts'
import { startProgress } from '../../local-cluster/setup/progress.mjs'
import type { Part } from '../../local-cluster/supervise.ts'
import { waitReady } from '../../local-cluster/wait.ts'
import type { Who } from './requests.ts'
import type { Stage } from './stage.ts'

const MODULE = join(import.meta.dirname, '..', 'helm-operator')
const USER = 'helm-operator'
const TOOL = 'github.com/operator-framework/helm-operator-plugins'

/** Its Helm part has another user agent than the rest of it. */
export const byPeer: Who = ({ user }) => user === USER

/** Why it cannot be built here, or undefined. */
export function peerProblem(): string | undefined {
  return goProblem(process.env)
}

/** Starts it with an administrator's rights, and its own number of workers (one per core) unless told; resolves when it has its watches. */
export async function startPeer(stage: Stage, workers?: number): Promise<Part> {
  const file = await peerBinary()
  const kubeconfig = stage.cluster.kubeconfigFor({ name: USER, groups: ['system:masters'] })
  const since = new Date()
  const addresses = ['--metrics-bind-address=0', '--health-probe-bind-address=0']
  const parallel = workers === undefined ? [] : [`--max-concurrent-reconciles=${workers}`]
  const command = [file, 'run', '--watches-file=watches.yaml', ...parallel, ...addresses]
  const part = stage.cluster.supervise('helm-operator', {
    file: '/usr/bin/env',
    args: ['-C', MODULE, `KUBECONFIG=${kubeconfig}`, ...command],
  })
  await waitReady('the Helm operator', [part], async () => {
    const events = await stage.cluster.auditEvents(since)
    return events.some((event) => byPeer(event) && event.verb === 'list' && event.resource === 'slimeboots')
  })
  return part
}

/** Builds it once into the user's cache. */
async function peerBinary(): Promise<string> {
  const hash = createHash('sha256')
  for (const name of ['go.mod', 'go.sum']) hash.update(readFileSync(join(MODULE, name)))
  const folder = join(cacheFolder(process.env), `helm-operator-${hash.digest('hex').slice(0, 10)}-${process.platform}-${process.arch}`)
  const file = join(folder, 'helm-operator')
  if (existsSync(file)) return file
  await withLock(`${folder}.lock`, async () => {
    if (existsSync(file)) return
    mkdirSync(folder, { recursive: true })
    const progress = startProgress('Building the Helm operator from its Go module (some minutes, once)')
    try {
      let seen = 0
      const build = ['build', '-v', '-mod=readonly', '-trimpath', '-ldflags', '-s -w', '-o', `${file}.partial`, TOOL]
      await goRunner(process.env, MODULE)(build, (line) =>
        progress.update(line.startsWith('go: ') ? line.slice(4) : `${++seen} packages, ${line}`),
      )
      renameSync(`${file}.partial`, file)
      progress.done()
    } catch (error) {
      progress.stop()
      throw error
    }
  })
  return file
}
