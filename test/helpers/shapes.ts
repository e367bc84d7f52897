/** SlimeBoots of every shape, as the tutorial writes them, and their values. */
import type { Json, JsonObject } from '../../runtime/object.ts'
import { API_VERSION, KIND, type SlimeBoot } from '../../operator/api/slimeboot.ts'
import { buildValues } from '../../operator/spec/build-values.ts'
import type { Mode, Shape, Values } from '../../operator/spec/values.ts'

export interface ShapeOptions {
  readonly mode: Mode
  readonly source: 'prometheus' | 'accesslog'
  readonly shape: Shape
  readonly volumes: boolean
  readonly dispatches: boolean
  /** Mode namespaced: default and shop unless given. */
  readonly namespaces?: readonly string[]
}

/** All combinations; without a global-sidecar its shape and dispatches make no difference. */
export const SHAPES: readonly ShapeOptions[] = (['namespaced', 'cluster', 'none'] as const).flatMap((mode) =>
  (['prometheus', 'accesslog'] as const).flatMap((source) =>
    (mode === 'none' ? (['stock'] as const) : (['pilot', 'stock'] as const)).flatMap((shape) =>
      [false, true].flatMap((volumes) =>
        (mode === 'none' ? [false] : [false, true]).map((dispatches) => ({ mode, source, shape, volumes, dispatches })),
      ),
    ),
  ),
)

export function nameOfShape({ mode, source, shape, volumes, dispatches }: ShapeOptions): string {
  return [mode, source, ...(mode === 'none' ? [] : [shape]), ...(volumes ? ['volumes'] : []), ...(dispatches ? ['dispatches'] : [])].join(
    '-',
  )
}

/** The dispatch fixture of the tutorial, bare number as a name included. */
export const TUTORIAL_DISPATCHES: readonly Json[] = [
  { name: 163, domains: ['www.163.com'], cluster: 'outbound|80||egress1.testns.svc.cluster.local' },
  { name: 'baidu', domains: ['*.baidu.com', 'baidu.*'], cluster: '{{ (print .Values.foo "." .Values.namespace ) }}' },
  { name: 'sohu', domains: ['*.sohu.com', 'sodu.*'], cluster: '_GLOBAL_SIDECAR' },
  { name: 'default', domains: ['*'], cluster: 'PassthroughCluster' },
]

const RESOURCES = { requests: { cpu: '200m', memory: '200Mi' }, limits: { cpu: '400m', memory: '200Mi' } }

export function bootOf(
  { mode, source, shape, volumes, dispatches, namespaces = ['default', 'shop'] }: ShapeOptions,
  extra: JsonObject = {},
): SlimeBoot {
  return slimeBoot({
    image: { repository: 'docker.io/slimeio/slime-lazyload', tag: 'v0.2.6-d808438', pullPolicy: 'Always' },
    module: [
      {
        name: 'lazyload',
        enable: true,
        fence: { enable: true, wormholePort: ['9080', '80'], ...(dispatches ? { dispatches: TUTORIAL_DISPATCHES } : {}) },
        global: {
          ...(volumes ? { log: { logRotate: true, logRotateConfig: { maxSizeMB: 5 } } } : {}),
          misc: {
            metric_source_type: source,
            ...(mode === 'cluster' ? { 'global-sidecar-mode': 'cluster' } : {}),
            ...(mode === 'none' ? { 'global-sidecar-mode': false } : {}),
          },
        },
        ...(source === 'prometheus' ? { metric: { prometheus: PROMETHEUS } } : {}),
      },
    ],
    ...(mode === 'none' ? {} : { component: componentOf(mode, shape, namespaces) }),
    ...(volumes ? VOLUMES : {}),
    ...(dispatches ? { foo: 'bar' } : {}),
    ...extra,
  })
}

/** Values of `bootOf`. */
export function valuesOf(options: ShapeOptions, extra: JsonObject = {}): Values {
  return buildValues(bootOf(options, extra))
}

export function slimeBoot(spec: JsonObject): SlimeBoot {
  return { apiVersion: API_VERSION, kind: KIND, metadata: { name: 'lazyload', namespace: 'mesh-operator' }, spec }
}

function componentOf(mode: Mode, shape: Shape, namespace: readonly string[]): JsonObject {
  const image = shape === 'pilot' ? { image: { repository: 'istio/proxyv2', tag: '1.7.0' } } : {}
  return {
    globalSidecar: {
      enable: true,
      ...(mode === 'cluster' ? { type: 'cluster' } : { type: 'namespaced', namespace }),
      ...image,
      resources: RESOURCES,
    },
    ...(shape === 'pilot'
      ? {
          pilot: {
            enable: true,
            image: { repository: 'docker.io/slimeio/pilot', tag: 'globalPilot-7.0-v0.0.3-713c611962' },
            resources: RESOURCES,
          },
        }
      : {}),
  }
}

const PROMETHEUS = {
  address: 'http://prometheus.istio-system:9090',
  handlers: {
    destination: {
      query: 'sum(istio_requests_total{source_app="$source_app",reporter="destination"})by(destination_service)\n',
      type: 'Group',
    },
  },
}

const VOLUMES = {
  volumes: [{ name: 'lazyload-storage', persistentVolumeClaim: { claimName: 'lazyload-claim' } }],
  containers: { slime: { volumeMounts: [{ mountPath: '/tmp/log', name: 'lazyload-storage' }] } },
}
