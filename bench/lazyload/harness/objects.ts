/** What a mesh is made of: Services, the addresses of their pods, fences. */
import { CATCH_ALL, ENDPOINT_SLICE, ENVOY_FILTER, GLOBAL_SIDECAR, SERVICE, SERVICE_FENCE } from '../../../lazyload/kinds.ts'
import { serviceHost } from '../../../lazyload/mesh/host-name.ts'
import type { KubeObject } from '../../../runtime/object.ts'
import type { ResourceType } from '../../../runtime/resource.ts'
import type { Stage } from '../../harness/stage.ts'

/** As a Helm chart writes it; headless, because a cluster IP takes the API server longer the more there are. */
export function service(namespace: string, name: string): KubeObject {
  const labels = { 'app.kubernetes.io/name': name, 'app.kubernetes.io/managed-by': 'Helm', 'helm.sh/chart': `${name}-1.0.0` }
  const ports = [
    { name: 'http', port: 9080, targetPort: 'http' },
    { name: 'metrics', port: 9090 },
  ]
  return {
    ...typeOf(SERVICE),
    metadata: { name, namespace, labels, annotations: { 'meta.helm.sh/release-name': name } },
    spec: { clusterIP: 'None', selector: { app: name }, ports },
  }
}

/** As the controller-manager writes it for a Service with these pods. */
export function endpoints(namespace: string, name: string, addresses: readonly string[]): KubeObject {
  const labels = { 'kubernetes.io/service-name': name, 'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io' }
  return {
    ...typeOf(ENDPOINT_SLICE),
    metadata: { name: `${name}-x7k2p`, namespace, labels },
    addressType: 'IPv4',
    endpoints: addresses.map((each, index) => ({
      addresses: [each],
      conditions: { ready: true, serving: true, terminating: false },
      nodeName: `node-${index}`,
      zone: 'zone-a',
      targetRef: { kind: 'Pod', namespace, name: `${name}-6d4cf56db6-x7k2${index}`, uid: '7d0b9b64-0f4a-4d8e-9c0b-3f1f6a8b2c11' },
    })),
    ports: [
      { name: 'http', port: 9080, protocol: 'TCP' },
      { name: 'metrics', port: 9090, protocol: 'TCP' },
    ],
  }
}

/** A fence for the pods of the Service of its name, with hosts that it depends on. */
export function fence(namespace: string, name: string, hosts: readonly string[] = []): KubeObject {
  const host = Object.fromEntries(hosts.map((each) => [each, { stable: {} }]))
  return { ...typeOf(SERVICE_FENCE), metadata: { name, namespace }, spec: { enable: true, ...(hosts.length === 0 ? {} : { host }) } }
}

export function hostOf(namespace: string, name: string): string {
  return serviceHost(name, namespace)
}

/** A pod's address, another for each index below 16 million. */
export function address(index: number): string {
  return `10.${(index >> 16) & 255}.${(index >> 8) & 255}.${index & 255}`
}

/** Namespaces with a global-sidecar each, as the operator makes it: without one there are no Sidecars. */
export async function createServedNamespaces(
  stage: Pick<Stage, 'client' | 'createNamespaces'>,
  namespaces: readonly string[],
): Promise<void> {
  await stage.createNamespaces(namespaces)
  await Promise.all(
    namespaces.map(async (namespace, index) => {
      const catchAll = { ...typeOf(ENVOY_FILTER), metadata: { name: CATCH_ALL, namespace }, spec: { configPatches: [] } }
      await stage.client.create(SERVICE, service(namespace, GLOBAL_SIDECAR))
      await stage.client.create(ENDPOINT_SLICE, endpoints(namespace, GLOBAL_SIDECAR, [`192.0.2.${index % 250}`]))
      await stage.client.create(ENVOY_FILTER, catchAll)
    }),
  )
}

/** As many at a time as the stage's client has requests in flight. */
export async function createAll(
  { client }: Pick<Stage, 'client'>,
  type: ResourceType,
  objects: readonly KubeObject[],
  show: (text: string) => void,
): Promise<void> {
  let done = 0
  await Promise.all(
    objects.map(async (object) => {
      await client.create(type, object)
      done++
      if (done % 50 === 0) show(`${type.plural}: ${done} of ${objects.length}`)
    }),
  )
}

function typeOf({ apiVersion, kind }: ResourceType): Pick<KubeObject, 'apiVersion' | 'kind'> {
  return { apiVersion, kind }
}
