/** What stands of Istio: control planes and their versions, injection, outbound policy. For people who are about to install. */
import type { Client } from '../../runtime/client.ts'
import { objectId, type KubeObject } from '../../runtime/object.ts'
import { DAEMON_SET, DEPLOYMENT, MUTATING_WEBHOOK } from '../api/kinds.ts'
import { defaultExportTo } from '../spec/export-to.ts'
import type { Values } from '../spec/values.ts'
import type { Finding } from './findings.ts'
import { hiddenFindings } from './hidden-hosts.ts'
import { parseMesh, readMeshText } from './mesh-config.ts'

/** Versions whose VIRTUAL_HOST REMOVE is broken (spec/behaviour.md 11: lazyload#26, slime#145). */
const BROKEN: readonly RegExp[] = [/^1\.9\.9$/, /^1\.10\.[56]$/, /^1\.11\.[4-7]$/, /^1\.12\./]
const OLDEST_STOCK = { major: 1, minor: 20 }

/** Needs the right to list Deployments, DaemonSets and webhooks in the whole cluster; throws what the API server answers. */
export async function istioFindings(client: Pick<Client, 'list' | 'get'>, values: Values): Promise<readonly Finding[]> {
  const [istiods, webhooks, nodeAgents, mesh] = await Promise.all([
    client.list(DEPLOYMENT, { labelSelector: 'app=istiod' }),
    client.list(MUTATING_WEBHOOK, { labelSelector: 'app=sidecar-injector', metadataOnly: true }),
    client.list(DAEMON_SET, { labelSelector: 'k8s-app=istio-cni-node', metadataOnly: true }),
    readMeshText(client, values.istioNamespace, values.globalSidecar.revision),
  ])
  return [
    ...controlPlanes(istiods.items, values),
    ...injection(webhooks.items, values),
    ...nodePlugin(nodeAgents.items, values),
    ...policy(mesh, values),
    ...hiddenFindings(defaultExportTo(parseMesh(mesh)), values),
  ]
}

function controlPlanes(istiods: readonly KubeObject[], values: Values): readonly Finding[] {
  if (istiods.length === 0)
    return [
      {
        check: 'Istio',
        level: 'warning',
        detail: 'no Deployment with label app=istiod: without a control plane nothing of the mesh configuration has an effect',
      },
    ]
  return istiods.map((istiod) => {
    const version = versionOf(istiod)
    const revision = istiod.metadata.labels?.['istio.io/rev'] ?? 'default'
    const name = `${objectId(istiod)}, revision ${revision}, version ${version ?? 'unknown'}`
    if (version !== undefined && BROKEN.some((pattern) => pattern.test(version)))
      return {
        check: 'Istio',
        level: 'error',
        detail: `${name}: this version does not remove virtual hosts by EnvoyFilter, so unknown hosts never reach the global-sidecar. Use 1.13 or newer.`,
      }
    const [major = 0, minor = 0] = (version ?? '').split('.').map(Number)
    const old =
      version !== undefined &&
      values.shape === 'stock' &&
      values.mode !== 'none' &&
      (major < OLDEST_STOCK.major || (major === OLDEST_STOCK.major && minor < OLDEST_STOCK.minor))
    return old
      ? { check: 'Istio', level: 'warning', detail: `${name}: the global-sidecar without a pilot is tested from 1.20 on` }
      : { check: 'Istio', level: 'ok', detail: name }
  })
}

function injection(webhooks: readonly KubeObject[], values: Values): readonly Finding[] {
  if (values.shape !== 'stock' || values.mode === 'none') return []
  const revision = values.globalSidecar.revision
  const fitting = webhooks.filter(
    (webhook) =>
      revision === undefined ||
      webhook.metadata.labels?.['istio.io/rev'] === revision ||
      webhook.metadata.labels?.['istio.io/tag'] === revision,
  )
  if (fitting.length > 0)
    return [
      {
        check: 'Injection',
        level: 'ok',
        detail: fitting
          .map((webhook) => webhook.metadata.name)
          .sort()
          .join(', '),
      },
    ]
  const wanted =
    revision === undefined
      ? 'no injection webhook (label app=sidecar-injector)'
      : `no injection webhook of revision ${revision} (spec.component.globalSidecar.revision)`
  return [{ check: 'Injection', level: 'warning', detail: `${wanted}: the global-sidecar's pods would get no proxy` }]
}

/** Istio's CNI plugin accepts the interception modes REDIRECT and TPROXY only (docs/notes/istio.md). */
function nodePlugin(agents: readonly KubeObject[], values: Values): readonly Finding[] {
  if (agents.length === 0 || values.shape !== 'stock' || values.mode === 'none') return []
  const detail = `${agents.map(objectId).sort().join(', ')}: Istio's CNI plugin refuses interception mode NONE, which the global-sidecar needs. Run it on nodes without the plugin (spec.component.globalSidecar.nodeSelector), or use the pilot shape.`
  return [{ check: 'Istio CNI', level: 'warning', detail }]
}

function policy(text: string | undefined, values: Values): readonly Finding[] {
  if (text === undefined)
    return [
      {
        check: 'Outbound policy',
        level: 'warning',
        detail: `ConfigMap/${values.istioNamespace}/istio is not there: the mesh's settings are unknown`,
      },
    ]
  const mode = readMode(text) ?? 'ALLOW_ANY'
  if (mode === 'REGISTRY_ONLY' && values.mode === 'none')
    return [
      {
        check: 'Outbound policy',
        level: 'error',
        detail:
          'REGISTRY_ONLY with mode none: the first call to an unknown service is refused, so nothing is ever learned. Use a global-sidecar.',
      },
    ]
  return [{ check: 'Outbound policy', level: 'ok', detail: mode }]
}

function readMode(text: string): string | undefined {
  return (parseMesh(text) as { outboundTrafficPolicy?: { mode?: string } } | undefined)?.outboundTrafficPolicy?.mode
}

function versionOf(istiod: KubeObject): string | undefined {
  const containers =
    (istiod['spec'] as { template?: { spec?: { containers?: readonly { image?: string }[] } } } | undefined)?.template?.spec?.containers ??
    []
  return /:v?(\d+\.\d+(?:\.\d+)?)/.exec(containers[0]?.image ?? '')?.[1]
}
