/** `slimeboot status`: the SlimeBoot, its objects as a tree with state and cause, the last Events. */
import { Argument, Command, InvalidArgumentError, Option } from 'commander'
import type { Client } from '../../runtime/client.ts'
import { keyOf, objectId, type KubeObject } from '../../runtime/object.ts'
import { EVENT, SLIMEBOOT } from '../api/kinds.ts'
import { SUSPEND_ANNOTATION } from '../api/slimeboot.ts'
import { ownerOf } from '../apply/ownership.ts'
import { reachOf, standingOf } from '../apply/standing.ts'
import { readPodCause } from '../apply/pod-cause.ts'
import { unreadyDeployment } from '../apply/readiness.ts'
import type { Status } from '../controller/status.ts'
import { kubeconfigOption, withClient } from './connect.ts'
import { listOwned } from './read-cluster.ts'
import { ageOf, colour, columns, treeOf } from './text.ts'

interface Options {
  readonly kubeconfig?: string
  readonly namespace?: string
  readonly output: 'text' | 'json'
}

interface ObjectState {
  readonly object: string
  readonly kind: string
  readonly namespace: string
  readonly name: string
  readonly ready: boolean
  readonly reason: string
  readonly message: string
}

interface EventLine {
  readonly type: string
  readonly reason: string
  readonly message: string
  readonly time: string
}

interface Report {
  readonly slimeboot: string
  readonly generation: number
  readonly suspended: boolean
  readonly status: Partial<Status>
  readonly objects: readonly ObjectState[]
  readonly events: readonly EventLine[]
}

const EVENTS = 8

export function statusCommand(): Command {
  return new Command('status')
    .description('show SlimeBoots, their objects with state and cause, and the last Events')
    .addArgument(new Argument('[name]', 'one SlimeBoot; else all'))
    .option('-n, --namespace <namespace>', 'only in this namespace; else in all')
    .addOption(kubeconfigOption())
    .addOption(new Option('-o, --output <format>').choices(['text', 'json']).default('text'))
    .addHelpText('after', '\nExit code 0 when every SlimeBoot shown is Ready, 1 otherwise.')
    .action(async (name: string | undefined, options: Options) => {
      await withClient(options.kubeconfig, 'status', async (client) => {
        const reports = await Promise.all((await findBoots(client, name, options.namespace)).map((boot) => reportOf(client, boot)))
        if (options.output === 'json') process.stdout.write(`${JSON.stringify(reports, null, 2)}\n`)
        else process.stdout.write(`${reports.map((report) => textOf(report).join('\n')).join('\n\n')}\n`)
        if (!reports.every(isReady)) process.exitCode = 1
      })
    })
}

async function findBoots(client: Client, name: string | undefined, namespace: string | undefined): Promise<readonly KubeObject[]> {
  const { items } = await client.list(SLIMEBOOT, { namespace, ...(name === undefined ? {} : { fieldSelector: `metadata.name=${name}` }) })
  if (items.length === 0)
    throw new InvalidArgumentError(
      `No SlimeBoot${name === undefined ? '' : ` ${name}`}${namespace === undefined ? ' in any namespace' : ` in namespace ${namespace}`}. Apply one, for example samples/slimeboot_lazyload.yaml.`,
    )
  return items
}

async function reportOf(client: Client, boot: KubeObject): Promise<Report> {
  const owner = ownerOf(boot)
  const reach = reachOf(boot, [])
  const [owned, events] = await Promise.all([listOwned(client, owner.label), eventsOf(client, boot)])
  const objects = await Promise.all(
    owned.filter((object) => ['ours', 'left-behind'].includes(standingOf(object, owner, reach))).map((object) => stateOf(client, object)),
  )
  return {
    slimeboot: keyOf(boot),
    generation: boot.metadata.generation ?? 0,
    suspended: boot.metadata.annotations?.[SUSPEND_ANNOTATION] === 'true',
    status: boot['status'] ?? {},
    objects: objects.sort((a, b) => (a.object < b.object ? -1 : 1)),
    events,
  }
}

async function stateOf(client: Client, object: KubeObject): Promise<ObjectState> {
  const base = { object: objectId(object), kind: object.kind, namespace: object.metadata.namespace ?? '', name: object.metadata.name }
  if (object.metadata.deletionTimestamp !== undefined)
    return { ...base, ready: false, reason: 'Terminating', message: (object.metadata.finalizers ?? []).join(', ') }
  const unready = object.kind === 'Deployment' ? unreadyDeployment(object) : undefined
  if (unready === undefined) return { ...base, ready: true, reason: '', message: object.kind === 'Deployment' ? replicasOf(object) : '' }
  const cause = (await readPodCause(client, object)) ?? unready
  return { ...base, ready: false, reason: cause.reason, message: cause.message }
}

function replicasOf(deployment: KubeObject): string {
  return `${(deployment['status'] as { availableReplicas?: number } | undefined)?.availableReplicas ?? 0}/${(deployment['spec'] as { replicas?: number }).replicas ?? 1} available`
}

async function eventsOf(client: Client, boot: KubeObject): Promise<readonly EventLine[]> {
  const { items } = await client.list(EVENT, {
    namespace: boot.metadata.namespace,
    fieldSelector: `involvedObject.uid=${boot.metadata.uid ?? ''}`,
  })
  return items
    .map((event) => ({
      type: String(event['type']),
      reason: String(event['reason']),
      message: String(event['message']),
      time: timeOf(event),
    }))
    .sort((a, b) => (a.time < b.time ? 1 : -1))
    .slice(0, EVENTS)
}

function timeOf(event: KubeObject): string {
  const last = event['lastTimestamp']
  return typeof last === 'string' ? last : (event.metadata.creationTimestamp ?? '')
}

function isReady({ status, generation }: Report): boolean {
  return (
    status.observedGeneration === generation &&
    status.conditions?.some((condition) => condition.type === 'Ready' && condition.status === 'True') === true
  )
}

function textOf(report: Report): readonly string[] {
  const { status, objects, events } = report
  const ready = status.conditions?.find((condition) => condition.type === 'Ready')
  const seen = status.observedGeneration === report.generation
  const state =
    ready === undefined
      ? colour('yellow', '… not seen by an operator yet: is one running, and does it serve this namespace?')
      : ready.status === 'True' && seen
        ? colour('green', '✔ Ready')
        : colour(
            ready.status === 'True' ? 'yellow' : 'red',
            `${ready.status === 'True' ? '…' : '✘'} ${ready.reason}${seen ? '' : ' (of an earlier generation)'}`,
          )
  const head = [
    colour('bold', `SlimeBoot ${report.slimeboot}`),
    state,
    [status.mode, status.shape].filter((part) => part !== undefined).join(', '),
    status.moduleNames ?? '',
    report.suspended ? 'suspended' : '',
  ]
    .filter((part) => part !== '')
    .join('  ')
  const now = Date.now()
  return [
    head,
    ...(ready === undefined || ready.message === '' ? [] : ready.message.split('\n').map((line) => `   ${line}`)),
    ...treeOf(
      objects.map(({ namespace, kind, name, ready: fine, reason, message }) => ({
        group: namespace,
        text: `${fine ? colour('green', '✔') : colour('red', '✘')} ${kind} ${name}${[reason, message]
          .filter((part) => part !== '')
          .map((part) => `  ${part}`)
          .join('')}`,
      })),
    ),
    ...(events.length === 0
      ? []
      : [
          'Events:',
          ...columns(events.map((event) => [`  ${ageOf(event.time, now)}`, event.type, event.reason, event.message.split('\n')[0]!])),
        ]),
  ]
}
