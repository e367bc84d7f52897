/** Objects as large as the API server takes them (etcd holds 1.5 MB), and thousands of usual ones. */
import type { Json, JsonObject, KubeObject } from '../../runtime/object.ts'

export interface Scene {
  readonly what: string
  readonly objects: readonly (readonly [plural: string, object: KubeObject])[]
}

const list = <Item>(count: number, make: (index: number) => Item): readonly Item[] =>
  Array.from({ length: count }, (_, index) => make(index))
const map = (count: number, make: (index: number) => readonly [string, Json]): JsonObject => Object.fromEntries(list(count, make))
const host = (name: string, namespace: string): string => `${name}.${namespace}.svc.cluster.local`

function object(kind: string, namespace: string, name: string, parts: JsonObject, labels?: JsonObject): KubeObject {
  const apiVersions: Readonly<Record<string, string>> = {
    ServiceFence: 'microservice.slime.io/v1alpha1',
    EndpointSlice: 'discovery.k8s.io/v1',
    Service: 'v1',
    Namespace: 'v1',
    SlimeBoot: 'config.netease.com/v1alpha1',
  }
  return {
    apiVersion: apiVersions[kind] ?? 'networking.istio.io/v1beta1',
    kind,
    metadata: {
      name,
      ...(namespace === '' ? {} : { namespace }),
      generation: 1,
      creationTimestamp: '2026-01-01T00:00:00Z',
      ...(labels === undefined ? {} : { labels: labels as Readonly<Record<string, string>> }),
    },
    ...parts,
  }
}

const LABELS = (index: number): JsonObject => ({
  app: `app-${index}`,
  'app.kubernetes.io/managed-by': 'Helm',
  team: `team-${index % 40}`,
  tier: ['web', 'data', 'batch'][index % 3]!,
})
const service = (index: number, labels = LABELS(index)): readonly [string, KubeObject] => [
  'services',
  object('Service', `ns-${index % 50}`, `app-${index}`, { spec: { selector: { app: `app-${index}` }, ports: [{ port: 80 }] } }, labels),
]
const fence = (name: string, spec: JsonObject, status: JsonObject = {}): readonly [string, KubeObject] => [
  'servicefences',
  object('ServiceFence', 'ns-0', name, { spec: { enable: true, ...spec }, status }),
]
const key = (name: string): string => `{destination_service="${name}"}`

/** What is there from the start. */
export function usualMesh(services: number, fences: number): Scene {
  return {
    what: `the start: ${services} Services, ${fences} fences`,
    objects: [
      ...list(50, (index) => ['namespaces', object('Namespace', '', `ns-${index}`, {})] as const),
      ...list(50, (index) => service(index)).map(
        ([plural, { metadata, ...rest }]) => [plural, { ...rest, metadata: { ...metadata, name: 'global-sidecar' } }] as const,
      ),
      ...list(services, (index) => service(index)),
      ...list(
        fences,
        (index) =>
          [
            'servicefences',
            object('ServiceFence', `ns-${index % 50}`, `app-${index}`, {
              spec: { enable: true, host: map(3, (n) => [host(`app-${index + n}`, `ns-${(index + n) % 50}`), {}]) },
              status: { metricStatus: map(7, (n) => [key(host(`app-${index + 50 * n}`, `ns-${index % 50}`)), '1']) },
            }),
          ] as const,
      ),
    ],
  }
}

export const LAZYLOAD_SCENES: readonly Scene[] = [
  {
    what: '5 fences with 36,000 entries in labelSelector',
    objects: list(5, (n) => fence(`selects-${n}`, { labelSelector: list(36_000, (i) => ({ selector: { app: `x${i}` } })) })),
  },
  {
    what: '5 fences with 500 selectors, each of labels that all Services have',
    objects: list(5, (n) =>
      fence(`common-${n}`, { labelSelector: list(500, (i) => ({ selector: { 'app.kubernetes.io/managed-by': 'Helm', [`x${i}`]: 'y' } })) }),
    ),
  },
  {
    what: '5 fences that select 3,300 Services each',
    objects: list(5, (n) => fence(`tier-${n}`, { labelSelector: [{ selector: { tier: 'web' } }] })),
  },
  {
    what: '5 fences with 1,000 hosts and 1,000 namespaces',
    objects: list(5, (n) =>
      fence(`hosts-${n}`, {
        host: map(1000, (i) => [host(`app-${i}`, `ns-${i % 50}`), {}]),
        namespaceSelector: list(1000, (i) => `ns-${i}`),
      }),
    ),
  },
  {
    what: '3 fences with 25,000 domains and 2,000 metrics in the status',
    objects: list(3, (n) =>
      fence(
        `status-${n}`,
        {},
        {
          domains: map(25_000, (i) => [`d${i}.example.com`, { hosts: [`d${i}.example.com`] }]),
          metricStatus: map(2000, (i) => [key(`m${i}.example.com`), '1']),
        },
      ),
    ),
  },
  {
    what: '1,000 fences that select the same pods',
    objects: list(1000, (n) =>
      fence(`same-${n}`, { workloadSelector: { labels: { app: 'same' } }, host: map(20, (i) => [host(`app-${n + i}`, 'ns-1'), {}]) }),
    ),
  },
  {
    what: '5 Services with 15,000 labels',
    objects: list(5, (n) =>
      service(
        n,
        map(15_000, (i) => [`label-${i}-of-${n}`, 'v'.repeat(60)]),
      ),
    ),
  },
  {
    what: '5 EndpointSlices with 1,000 endpoints of 60 addresses',
    objects: list(5, (n) => [
      'endpointslices',
      object(
        'EndpointSlice',
        'ns-0',
        `large-${n}`,
        {
          addressType: 'IPv4',
          endpoints: list(1000, (i) => ({ addresses: list(60, (a) => `10.${n}.${i % 250}.${a}`) })),
        },
        { 'kubernetes.io/service-name': 'app-0' },
      ),
    ]),
  },
  {
    what: '5 VirtualServices for *.svc.cluster.local with 15,000 destinations',
    objects: list(5, (n) => [
      'virtualservices',
      object('VirtualService', 'ns-0', `wild-${n}`, {
        spec: {
          hosts: ['*.svc.cluster.local'],
          http: list(15_000, (i) => ({ route: [{ destination: { host: `d${i}-${n}.example.com` } }] })) as Json,
        },
      }),
    ]),
  },
  {
    what: '5 VirtualServices with 20,000 hosts, half of them wildcards',
    objects: list(5, (n) => [
      'virtualservices',
      object('VirtualService', 'ns-0', `hosts-${n}`, {
        spec: {
          hosts: list(20_000, (i) => (i % 2 === 0 ? `*.h${i}-${n}.example.com` : host(`app-${i}`, `ns-${i % 50}`))) as Json,
          http: [{ route: [{ destination: { host: 'one.example.com' } }] }],
        },
      }),
    ]),
  },
  {
    what: '5 ServiceEntries with 30,000 hosts',
    objects: list(5, (n) => [
      'serviceentries',
      object('ServiceEntry', 'ns-0', `large-${n}`, { spec: { hosts: list(30_000, (i) => `h${i}-${n}.example.com`) as Json } }),
    ]),
  },
]

const module = (name: string, fenceParts: JsonObject = {}): JsonObject => ({
  name: `lazyload-${name}`,
  enable: true,
  fence: { enable: true, wormholePort: ['9080'], ...fenceParts },
  global: { misc: { metric_source_type: 'accesslog' } },
})
const boot = (name: string, spec: JsonObject): readonly [string, KubeObject] => [
  'slimeboots',
  object('SlimeBoot', 'boots', name, {
    spec: {
      image: { repository: 'docker.io/slimeio/slime-lazyload', tag: 'v1' },
      namespace: `home-${name}`,
      module: [module(name)],
      component: { globalSidecar: { enable: true, type: 'namespaced', namespace: [`app-${name}`] } },
      ...spec,
    },
    metadata: { name, namespace: 'boots', generation: 1, annotations: { 'config.netease.com/create-namespaces': 'true' } },
  }),
]
const namespaces = (name: string, count: number): JsonObject => ({
  component: { globalSidecar: { enable: true, type: 'namespaced', namespace: list(count, (i) => `${name}-${i}`) as Json } },
})
const dispatches = (count: number, domains: number): Json =>
  list(count, (i) => ({
    name: `d${i}`,
    domains: list(domains, (d) => `h${i}-${d}.example.com`) as Json,
    cluster: 'PassthroughCluster',
  }))

export const OPERATOR_SCENES: readonly Scene[] = [
  { what: 'the start: 20 SlimeBoots', objects: list(20, (n) => boot(`usual-${n}`, {})) },
  { what: 'a SlimeBoot with 300 namespaces', objects: [boot('wide', namespaces('wide', 300))] },
  { what: 'a SlimeBoot with 1,000 namespaces', objects: [boot('wider', namespaces('wider', 1000))] },
  {
    what: 'a SlimeBoot with 10 ports, 100 dispatches and 3 domains in each',
    objects: [
      boot('dispatches', {
        module: [module('dispatches', { wormholePort: list(10, (i) => String(9000 + i)) as Json, dispatches: dispatches(100, 3) })],
      }),
    ],
  },
  {
    what: '5 SlimeBoots with 60,000 unknown keys',
    objects: list(5, (n) =>
      boot(
        `keys-${n}`,
        map(60_000, (i) => [`key-${i}`, i]),
      ),
    ),
  },
  {
    what: '5 SlimeBoots with 150,000 wrong volumes',
    objects: list(5, (n) => boot(`wrong-${n}`, { volumes: list(150_000, (i) => i) })),
  },
  { what: '5 SlimeBoots with 50,000 namespaces', objects: list(5, (n) => boot(`many-${n}`, namespaces('x', 50_000))) },
  {
    what: '5 SlimeBoots with one text of 1.4 MB',
    objects: list(5, (n) => boot(`text-${n}`, { foo: '{{'.repeat(700_000) })),
  },
]
