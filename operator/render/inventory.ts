/** The table of templates: once per install, module or global-sidecar; under which condition; in which wave (design 5 and 7, behaviour 8). */
import { LAZYLOAD_CLUSTER_ROLE } from '../spec/defaults.ts'
import type { Values } from '../spec/values.ts'
import { receiversIn } from './access-log.ts'
import type { Unit } from './context.ts'
import type { Wave } from './manifest.ts'

export interface TemplateEntry {
  /** Relative to `templates/`. */
  readonly template: string
  /** What it is rendered once for. */
  readonly per: Unit['kind']
  readonly wave: Wave
  /** Absent: always. */
  readonly when?: (values: Values, unit: Unit) => boolean
  /** Template of the ConfigMap that its pods read; its checksum is in the context, so that they roll when it changes. */
  readonly checksumOf?: string
  /** The EnvoyFilter that takes over unknown hosts. */
  readonly catchAll?: true
}

const stock = (values: Values): boolean => values.shape === 'stock'
const pilotShape = (values: Values): boolean => values.shape === 'pilot'
const withPilot = (values: Values): boolean => values.pilot !== undefined && values.modules.length > 0
/** A module with a role of its own has all its rights there. */
const electsLeader = (_: Values, unit: Unit): boolean =>
  unit.kind === 'module' && !unit.module.bundleItem && unit.module.clusterRole === LAZYLOAD_CLUSTER_ROLE
/** It writes in single namespaces, and reads in all. */
const isConfined = (_: Values, unit: Unit): boolean =>
  (unit.kind === 'module' || unit.kind === 'moduleNamespace') &&
  unit.module.namespaces !== undefined &&
  unit.module.clusterRole === LAZYLOAD_CLUSTER_ROLE
const isEverywhere = (values: Values, unit: Unit): boolean => !isConfined(values, unit)
const withAccessLog = (values: Values, unit: Unit): boolean =>
  unit.kind === 'globalSidecar' && receiversIn(values, unit.place.namespace).length > 0

/** In the order in which they appear within a unit; a ConfigMap comes before the Deployment that needs its checksum. */
export const INVENTORY: readonly TemplateEntry[] = [
  { template: 'module/service-account.yaml.hbs', per: 'module', wave: 1, when: (values) => values.controller.createServiceAccount },
  { template: 'module/cluster-role-binding.yaml.hbs', per: 'module', wave: 1, when: isEverywhere },
  { template: 'module/cluster-role-binding-reader.yaml.hbs', per: 'module', wave: 1, when: isConfined },
  { template: 'module/role-binding.yaml.hbs', per: 'module', wave: 1, when: electsLeader },
  { template: 'module/config-map.yaml.hbs', per: 'module', wave: 2 },
  { template: 'module/service.yaml.hbs', per: 'module', wave: 2 },
  {
    template: 'module/deployment.yaml.hbs',
    per: 'module',
    wave: 3,
    when: (_, unit) => unit.kind === 'module' && !unit.module.bundleItem,
    checksumOf: 'module/config-map.yaml.hbs',
  },

  { template: 'module/role-binding-namespace.yaml.hbs', per: 'moduleNamespace', wave: 1, when: isConfined },

  { template: 'pilot/service-account.yaml.hbs', per: 'install', wave: 1, when: withPilot },
  { template: 'pilot/cluster-role-binding.yaml.hbs', per: 'install', wave: 1, when: withPilot },
  { template: 'pilot/config-map.yaml.hbs', per: 'install', wave: 2, when: withPilot },
  { template: 'pilot/service.yaml.hbs', per: 'install', wave: 2, when: withPilot },
  { template: 'pilot/deployment.yaml.hbs', per: 'install', wave: 3, when: withPilot, checksumOf: 'pilot/config-map.yaml.hbs' },

  { template: 'global-sidecar/service-account.yaml.hbs', per: 'globalSidecar', wave: 1 },
  { template: 'global-sidecar/service.yaml.hbs', per: 'globalSidecar', wave: 2 },
  { template: 'global-sidecar/destination-rule.yaml.hbs', per: 'globalSidecar', wave: 2, when: stock },
  { template: 'global-sidecar/sidecar.yaml.hbs', per: 'globalSidecar', wave: 2, when: stock },
  { template: 'global-sidecar/envoy-filter-guard.yaml.hbs', per: 'globalSidecar', wave: 2 },
  { template: 'global-sidecar/envoy-filter-metadata-exchange-remove.yaml.hbs', per: 'globalSidecar', wave: 2, when: stock },
  { template: 'global-sidecar/config-map-accesslog-source.yaml.hbs', per: 'globalSidecar', wave: 2, when: withAccessLog },
  { template: 'global-sidecar/envoy-filter-accesslog.yaml.hbs', per: 'globalSidecar', wave: 2, when: withAccessLog },
  {
    template: 'global-sidecar/network-policy.yaml.hbs',
    per: 'globalSidecar',
    wave: 2,
    when: (values) => stock(values) && values.globalSidecar.networkPolicy,
  },
  { template: 'global-sidecar/pod-disruption-budget.yaml.hbs', per: 'globalSidecar', wave: 3, when: stock },
  {
    template: 'global-sidecar/deployment-pilot.yaml.hbs',
    per: 'globalSidecar',
    wave: 3,
    when: pilotShape,
    checksumOf: 'global-sidecar/config-map-accesslog-source.yaml.hbs',
  },
  {
    template: 'global-sidecar/deployment-stock.yaml.hbs',
    per: 'globalSidecar',
    wave: 3,
    when: stock,
    checksumOf: 'global-sidecar/config-map-accesslog-source.yaml.hbs',
  },
  { template: 'global-sidecar/envoy-filter-to-global-sidecar.yaml.hbs', per: 'globalSidecar', wave: 4, catchAll: true },
]

/** What the templates of these values are rendered for: each module and the namespaces that it serves, the install itself, each global-sidecar. */
export function unitsOf(values: Values): readonly Unit[] {
  return [
    ...values.modules.flatMap((module): readonly Unit[] => [
      { kind: 'module', module },
      ...(module.namespaces ?? []).map((namespace): Unit => ({ kind: 'moduleNamespace', module, place: { namespace } })),
    ]),
    { kind: 'install' },
    ...values.globalSidecars.map((place): Unit => ({ kind: 'globalSidecar', place })),
  ]
}

/** Templates to render for one unit. */
export function templatesFor(values: Values, unit: Unit): readonly TemplateEntry[] {
  return INVENTORY.filter(({ per, when }) => per === unit.kind && (when?.(values, unit) ?? true))
}
