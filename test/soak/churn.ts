/** Churn for the soak: SlimeBoots are created, changed and deleted, their objects meddled with, the connection disturbed; by a seed. */
import { CONFIG_MAP, SLIMEBOOT } from '../../operator/api/kinds.ts'
import { OWNED_ANNOTATION } from '../../operator/api/slimeboot.ts'
import type { JsonObject } from '../../runtime/object.ts'
import { type FaultProxy, isWatch, isWrite } from '../helpers/fault-proxy.ts'
import type { Chooser } from '../helpers/seed.ts'
import { bootRef, changeSpec, createBoot, type Installation, newInstallation, refTo, specOf, type Stage } from '../helpers/stage.ts'

export interface Churn {
  /** One random thing; resolves with its name. */
  readonly act: () => Promise<string>
  /** Names of the SlimeBoots that should be there. */
  readonly names: () => readonly string[]
  /** Ends every fault at once. */
  readonly heal: () => void
  /** How often each thing was done. */
  readonly counts: ReadonlyMap<string, number>
}

const EXPIRED = JSON.stringify({
  type: 'ERROR',
  object: { kind: 'Status', code: 410, reason: 'Expired', message: 'too old resource version' },
})

/** As runtime/contest.ts. */
const CONTEST_MS = 5 * 60_000
/** The network notices at last; how the operator notices by itself (after 150 s) is tested in watch.test.ts. */
const HALF_OPEN_MS = 15_000
const DOWN_MS = 2000

/** `places` namespaces groups are made once and used again and again, so that the cluster does not grow. */
export async function createChurn(stage: Stage, proxy: FaultProxy, { random }: Chooser, places: number): Promise<Churn> {
  const installations = await Promise.all(Array.from({ length: places }, async (_, index) => await newInstallation(stage, `soak-${index}`)))
  const present = new Set<Installation>()
  const counts = new Map<string, number>()
  const pick = <Item>(items: readonly Item[]): Item => items[Math.floor(random() * items.length)]!

  const randomSpec = (installation: Installation): JsonObject =>
    specOf(
      installation,
      { mode: random() < 0.5 ? 'none' : 'namespaced', source: random() < 0.5 ? 'prometheus' : 'accesslog' },
      {
        image: { repository: 'docker.io/slimeio/slime-lazyload', tag: `v${Math.floor(random() * 5)}` },
        replicaCount: 1 + Math.floor(random() * 2),
      },
    )
  const create = async (): Promise<void> => {
    const installation = installations.find((each) => !present.has(each))
    if (installation === undefined) return await change()
    if ((await stage.client.get(bootRef(stage, installation.name))) !== undefined) return
    await createBoot(stage, installation.name, randomSpec(installation))
    present.add(installation)
  }
  const change = async (): Promise<void> => {
    if (present.size === 0) return await create()
    const installation = pick([...present])
    await changeSpec(stage, installation.name, randomSpec(installation))
  }
  const remove = async (): Promise<void> => {
    if (present.size < places / 2) return await create()
    const installation = pick([...present])
    present.delete(installation)
    await stage.client.remove({ type: SLIMEBOOT, namespace: stage.namespace, name: installation.name })
  }
  /** What is done to one object within five minutes: the third edit, the tenth deletion would be a contest, and the operator rightly gives in. */
  const done = new Map<string, number[]>()
  const may = (installation: Installation, what: string, most: number): boolean => {
    const key = `${installation.name} ${what}`
    const recent = (done.get(key) ?? []).filter((at) => performance.now() - at < CONTEST_MS)
    if (recent.length < most) done.set(key, [...recent, performance.now()])
    return recent.length < most
  }
  const meddle = async (): Promise<void> => {
    if (present.size === 0) return
    const installation = pick([...present])
    const { home: namespace, module: name } = installation
    const configMap = { type: CONFIG_MAP, namespace, name }
    if ((await stage.client.get(configMap))?.metadata.annotations?.[OWNED_ANNOTATION] === undefined) return
    const victim = random() < 0.5 ? configMap : refTo('Service', namespace, name)
    if (random() < 0.5 && may(installation, 'edit', 2))
      await stage.client.mergePatch(configMap, { data: { [`meddled-${Math.floor(random() * 1000)}`]: 'yes' } }, 'meddler')
    else if (may(installation, `deletion of ${victim.type.kind}`, 5)) await stage.client.remove(victim)
  }

  /** What ends a fault that lasts. */
  const ends = new Map<() => void, NodeJS.Timeout>()
  const later = (ms: number, end: () => void): void => {
    const timer = setTimeout(() => {
      ends.delete(end)
      end()
    }, ms)
    ends.set(end, timer)
  }
  const cut = (): void => proxy.cut()
  const up = (): void => void proxy.up()
  const faults: readonly (readonly [string, () => void | Promise<void>])[] = [
    ['reset', cut],
    [
      'half-open',
      () => {
        proxy.stall()
        if (!ends.has(cut)) later(HALF_OPEN_MS, cut)
      },
    ],
    ['410', () => void proxy.tell(isWatch, EXPIRED)],
    ['nonsense', () => void proxy.tell(isWatch, '<html>')],
    ['429', () => proxy.inject(() => true, { answer: 429, headers: { 'retry-after': '1' } }, 3)],
    ['500', () => proxy.inject(isWrite, { answer: 500 }, 3)],
    ['lost answer', () => proxy.inject(isWrite, { reset: true }, 2)],
    [
      'down',
      async () => {
        if (ends.has(up)) return
        await proxy.down()
        later(DOWN_MS, up)
      },
    ],
  ]

  return {
    counts,
    names: () => [...present].map(({ name }) => name),
    heal() {
      proxy.heal()
      for (const [end, timer] of ends) {
        clearTimeout(timer)
        end()
      }
      ends.clear()
    },
    async act() {
      const [name, work] = pick<readonly [string, () => void | Promise<void>]>([
        ['create', create],
        ['change', change],
        ['change', change],
        ['delete', remove],
        ['meddle', meddle],
        ['meddle', meddle],
        pick(faults),
      ])
      counts.set(name, (counts.get(name) ?? 0) + 1)
      await work()
      return name
    },
  }
}
