/**
 * The whole way on a cluster whose pods are run from the files of the image, as their manifests say, with the tokens of their
 * ServiceAccounts: the install script, the access-log sample, a ServiceFence, calls, a changed configuration, the uninstall script.
 * The global-sidecar's Envoy is a client here that sends what an Envoy sends; envoy-tutorial.test.ts has a real one.
 */
import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { dump, load } from 'js-yaml'
import { type Kubelet, startKubelet } from '../../../local-cluster/mesh/kubelet.ts'
import { podNetwork, type PodNetwork } from '../../../local-cluster/mesh/network.ts'
import type { KubeletPod } from '../../../local-cluster/mesh/running-pod.ts'
import { eventually as poll } from '../../helpers/eventually.ts'
import { podImages } from '../../helpers/image.ts'
import { changesSince, ROOT, runCommand, type ScriptStage, setScriptStage, snapshot } from '../../helpers/scripts.ts'

const SAMPLES = join(ROOT, 'samples')
const SAMPLE = join(SAMPLES, 'slimeboot_lazyload_accesslog.yaml')
const SEND = join(import.meta.dirname, '../../helpers/programs/send-access-log.ts')
const FENCE = '/apis/microservice.slime.io/v1alpha1/namespaces/default/servicefences/productpage'
const SIDECAR = '/apis/networking.istio.io/v1beta1/namespaces/default/sidecars/productpage'
const BOOT = '/apis/config.netease.com/v1alpha1/namespaces/mesh-operator/slimeboots/lazyload'
const PODS = '/api/v1/namespaces/mesh-operator/pods'
/** What the tutorial shows after `kubectl get sidecar productpage -oyaml`. */
const OURS = ['istio-system/*', 'mesh-operator/*', '*/global-sidecar.default.svc.cluster.local']
const full = (service: string): string => `${service}.default.svc.cluster.local`

let network: PodNetwork
let kubelet: Kubelet
let stage: ScriptStage
let empty: readonly string[]

before(async () => {
  const image = await podImages()
  stage = await setScriptStage('end-to-end', {
    pods: 'nobody',
    // as OpenShift has it: who makes an object the owner of another needs a right to
    apiServerArgs: ['--enable-admission-plugins=OwnerReferencesPermissionEnforcement'],
    runPods: async (cluster) => {
      network = await podNetwork(cluster)
      kubelet = await startKubelet({ cluster, network, image })
      return kubelet
    },
  })
  empty = await snapshot(stage.cluster)
})

after(async () => {
  await stage?.[Symbol.asyncDispose]()
  await network?.dispose()
})

test('the install script with the access-log sample: pods become ready by their probes, and run what the image says', async () => {
  const { code, output } = await stage.install('-f', SAMPLE)
  assert.equal(code, 0, `${output}\n${logs()}`)
  assert.match(output, /✔ SlimeBoot mesh-operator\/lazyload is Ready/)
  assert.match(await kubectl('get', 'pods', '-n', 'mesh-operator', '-l', 'app=lazyload'), /^lazyload-\S+\s+1\/1\s+Running/m)
  const { pid, ip, place } = await lazyload()
  const command = readFileSync(`/proc/${pid('slime')}/cmdline`, 'utf8').split('\0')
  assert.deepEqual(command.slice(0, 4), ['/nodejs/bin/node', '--expose-gc', '/manager', '--enable-leader-election'])
  const { status, text } = await place.app().call(`http://${ip}:8081/modules/readyz?verbose`)
  assert.deepEqual([status, text.includes('access log')], [200, true], text)
})

test('its Lease has the name of the module, and goes with its ServiceAccount', async () => {
  const namespace = 'namespaces/mesh-operator'
  const account = await read(`/api/v1/${namespace}/serviceaccounts/lazyload`)
  const lease = await read(`/apis/coordination.k8s.io/v1/${namespace}/leases/lazyload`)
  assert.match(lease.spec.holderIdentity, new RegExp(`^${(await lazyload()).name}_`))
  assert.deepEqual(lease.metadata.ownerReferences, [
    { apiVersion: 'v1', kind: 'ServiceAccount', name: 'lazyload', uid: account.metadata.uid },
  ])
})

test('the Sidecar of a fence is that of the tutorial', async () => {
  // the claim is for later, and takes its time to be bound
  for (const file of ['bookinfo', 'servicefence_productpage', 'pvc_lazyload']) await kubectl('apply', '-f', join(SAMPLES, `${file}.yaml`))
  const { metadata, spec } = await eventually(async () => await read(SIDECAR))
  const [{ uid: _, ...owner }, ...others] = metadata.ownerReferences
  assert.deepEqual(
    [owner, ...others],
    [
      {
        apiVersion: 'microservice.slime.io/v1alpha1',
        blockOwnerDeletion: true,
        controller: true,
        kind: 'ServiceFence',
        name: 'productpage',
      },
    ],
  )
  assert.deepEqual(spec, { egress: [{ hosts: OURS }], workloadSelector: { labels: { app: 'productpage' } } })
})

test('what the global-sidecar logs is learned: the Sidecar grows, the fence keeps it', async () => {
  await call('details', 'reviews')
  await hostsAre('details', 'reviews')
  const { status } = await read(FENCE)
  assert.deepEqual(
    Object.keys(status.metricStatus),
    ['details', 'reviews'].map((name) => `{destination_service="${full(name)}"}`),
  )
})

test('a container that dies is started again, and nothing is written', async () => {
  const { generation } = (await read(SIDECAR)).metadata
  const { name, pid } = await lazyload()
  process.kill(pid('slime')!, 'SIGKILL')
  await eventually(async () => {
    const [{ restartCount, ready }] = (await read(`${PODS}/${name}`)).status.containerStatuses
    assert.deepEqual([restartCount, ready], [1, true])
  })
  assert.equal((await read(SIDECAR)).metadata.generation, generation)
})

test('a changed configuration rolls the pod: hardened, its log on a volume; nothing learned is lost', async () => {
  const earlier = await lazyload()
  const { generation } = (await read(SIDECAR)).metadata
  const folder = join(kubelet.nodeRoot, 'mnt/data')
  // the sample says to give it to lazyload's user
  mkdirSync(folder, { recursive: true })
  chmodSync(folder, 0o777)
  const file = join(network.dir, 'changed.yaml')
  writeFileSync(file, dump(hardened()))
  await kubectl('apply', '-f', file)
  await eventually(async () => assert.notEqual((await lazyload()).name, earlier.name))
  await eventually(async () => {
    const { metadata, status } = await read(BOOT)
    const { observedGeneration, ...ready } = status.conditions.find(({ type }: { type: string }) => type === 'Ready')
    assert.deepEqual([observedGeneration, ready.status], [metadata.generation, 'True'], JSON.stringify(ready))
  })
  await eventually(() => assert.match(readFileSync(join(folder, 'slime.log'), 'utf8'), /"message":"leading"/))
  assert.equal((await lazyload()).log('slime'), '', 'it logs to the file instead of stdout')
  assert.equal((await read(SIDECAR)).metadata.generation, generation)
  await call('ratings')
  await hostsAre('details', 'ratings', 'reviews')
})

test('the uninstall script leaves nothing', async () => {
  await kubectl('delete', '--wait=false', ...['bookinfo.yaml', 'pvc_lazyload.yaml'].flatMap((file) => ['-f', join(SAMPLES, file)]))
  const { code, output } = await stage.uninstall()
  assert.equal(code, 0, `${output}\n${logs()}`)
  assert.match(output, /Done: nothing is left/)
  await eventually(async () => assert.deepEqual(await changesSince(stage.cluster, empty), []))
})

test('nothing was denied to the operator and to lazyload', async () => {
  const events = await stage.cluster.auditEvents()
  for (const account of ['slime-boot', 'lazyload']) {
    const own = events.filter(({ user }) => user === `system:serviceaccount:mesh-operator:${account}`)
    assert.ok(own.length > 10, `${account} asked for nothing`)
    assert.deepEqual(
      own.filter(({ code }) => code === 401 || code === 403).map(({ code, verb, requestURI }) => `${code} ${verb} ${requestURI}`),
      [],
    )
  }
})

/** The sample with the log rotation of its sample, in a container that may as little as a container can. */
function hardened(): object {
  const [boot, { spec: logRotate }] = [SAMPLE, join(SAMPLES, 'slimeboot_lazyload_logrotate.yaml')].map((file) =>
    load(readFileSync(file, 'utf8')),
  ) as [any, any]
  const { podSecurityContext, volumes, containers } = logRotate
  const containerSecurityContext = {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    runAsNonRoot: true,
    capabilities: { drop: ['ALL'] },
  }
  boot.spec.module[0].global.log = logRotate.module[0].global.log
  return { ...boot, spec: { ...boot.spec, podSecurityContext, volumes, containers, containerSecurityContext } }
}

/** productpage calls these through the global-sidecar, which tells of it. */
async function call(...services: readonly string[]): Promise<void> {
  const source = await eventually(async () => {
    const slices = await read('/apis/discovery.k8s.io/v1/namespaces/default/endpointslices')
    const slice = slices.items.find(({ metadata }: any) => metadata.labels['kubernetes.io/service-name'] === 'productpage')
    return slice.endpoints[0].addresses[0] as string
  })
  const globalSidecar = kubelet.pods().find(({ labels }) => labels['app'] === 'qz-ingress')
  const clusters = services.map((service) => `outbound|9080||${full(service)}`)
  await globalSidecar!.place.run(process.execPath, [SEND, (await lazyload()).ip, '8082', source, ...clusters])
}

async function hostsAre(...services: readonly string[]): Promise<void> {
  const wanted = [...services.map((service) => `*/${full(service)}`), ...OURS]
  await eventually(async () => assert.deepEqual((await read(SIDECAR)).spec.egress[0].hosts, wanted))
}

/** The pod of lazyload that is not on its way out. */
async function lazyload(): Promise<KubeletPod> {
  const { items } = await read(`${PODS}?labelSelector=app%3Dlazyload`)
  const names = items.filter(({ metadata }: any) => metadata.deletionTimestamp === undefined).map(({ metadata }: any) => metadata.name)
  const [found, ...others] = kubelet.pods().filter(({ name }) => names.includes(name))
  assert.ok(found !== undefined && others.length === 0, `pods of lazyload: ${names.join()}`)
  return found
}

/** Until `check` passes; what the programs logged is part of its failure. */
async function eventually<Result>(check: () => Result | Promise<Result>): Promise<Result> {
  try {
    return await poll(check, { timeout: 60_000, interval: 100 })
  } catch (error) {
    if (error instanceof Error) error.message += `\n${logs()}`
    throw error
  }
}

function logs(): string {
  const ours = kubelet.pods().filter(({ namespace }) => namespace === 'mesh-operator')
  return ours.map(({ name, log }) => `${name}:\n${log(name.startsWith('slime-boot') ? 'slime-boot' : 'slime')}`).join('\n')
}

async function read(path: string): Promise<any> {
  const { status, body } = await stage.cluster.request('GET', path)
  assert.equal(status, 200, `${path}: ${body.message}`)
  return body
}

/** Never in a way that holds this process up: the pods reach the API server through it. */
async function kubectl(...args: readonly string[]): Promise<string> {
  const { code, output } = await runCommand('kubectl', args, { kubeconfig: stage.cluster.kubeconfig })
  assert.equal(code, 0, `kubectl ${args.join(' ')}: ${output}`)
  return output
}
