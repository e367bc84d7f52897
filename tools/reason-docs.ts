/** Writes docs/troubleshooting.md from the table of reasons. `node tools/reason-docs.ts`, run by `npm run build`; a test fails when it is stale. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { FENCE_REASONS } from '../lazyload/fence/reasons.ts'
import { CONDITION_REASONS, type ReasonText, WARNING_REASONS } from '../operator/api/reasons.ts'

export const REASON_DOCS = join(import.meta.dirname, '..', 'docs', 'troubleshooting.md')

const INTRODUCTION = `# Troubleshooting, by message

Generated from operator/api/reasons.ts and lazyload/fence/reasons.ts.

Start with \`slimeboot status\` (or \`kubectl describe slimeboot\`): the SlimeBoot, each object with its state and cause, the last Events. \`kubectl get slimeboot\` shows READY and REASON; the reason is one of these. Conditions follow kstatus: \`Ready\` tells all, \`Reconciling\` that work goes on, \`Stalled\` that somebody has to act. What can heal by itself is looked at again every 15 seconds.

Before an installation: \`slimeboot preflight -f FILE\` lists all that is missing at once.
`

/** Text of docs/troubleshooting.md. */
export function reasonDocs(): string {
  return [
    INTRODUCTION,
    section('Reasons of the conditions', CONDITION_REASONS),
    section('Reasons of warnings', WARNING_REASONS),
    section('Reasons of a ServiceFence', FENCE_REASONS),
    OTHER,
  ].join('\n')
}

function section(title: string, reasons: Readonly<Record<string, ReasonText>>): string {
  const rows = Object.entries(reasons).map(([reason, { means, remedy }]) => `| \`${reason}\` | ${cell(means)} | ${cell(remedy)} |`)
  return [`## ${title}`, '', '| reason | what it means | what to do |', '|---|---|---|', ...rows, ''].join('\n')
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|')
}

const OTHER = `## The mesh

| what you see | why | what to do |
|---|---|---|
| \`global-sidecar\` stays in ContainerCreating, the kubelet says \`interceptionMode invalid: NONE\` | Istio's CNI plugin accepts REDIRECT and TPROXY only | run it on nodes without the CNI plugin (\`component.globalSidecar.nodeSelector\`), or use the pilot shape |
| first call with a short name (\`details:9080\`) fails in mode cluster where the mesh demands mTLS | the global-sidecar is in another namespace and does not know which one was meant | with the access log this call teaches the host, and the next one works; else call \`details.NAMESPACE:9080\`, or use type namespaced |
| first calls end with 503 | the caller's proxy speaks TLS to the plaintext hop | the pod label \`security.istio.io/tlsMode: disabled\` of the global-sidecar was overwritten; \`slimeboot status\` shows who |
| \`cannot bind '0.0.0.0:15021'\` in the pilot shape | the ingress gateway's port is among those that the global-sidecar binds | change the ingress gateway's port, or use the stock shape |
| nothing is learned | source prometheus: no series for the query; source accesslog: no stream | ask Prometheus the query; look at the log of the module for its streams |
`

if (import.meta.main) writeFileSync(REASON_DOCS, reasonDocs())
