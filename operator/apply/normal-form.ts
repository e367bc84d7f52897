/**
 * Normal forms: what the API server (defaulting, mutating webhooks) makes of an applied object, so that it is not applied
 * again and again; and the Deployments whose replicas an autoscaler owns.
 */
import { identityOf, type KubeObject } from '../../runtime/object.ts'
import type { Difference } from './difference.ts'
import { appliedHash } from './ownership.ts'

interface NormalForm {
  readonly uid: string | undefined
  readonly hash: string
  /** The differences that stay, with their live values. */
  readonly fingerprint: string
  readonly fields: readonly string[]
}

/** An autoscaler is asked for again after this time. */
const AUTOSCALED_MS = 5 * 60_000

export type NormalForms = ReturnType<typeof createNormalForms>

/** `now` in milliseconds, monotonic. In memory only: after a restart such an object gets one apply that changes nothing. */
export function createNormalForms(now: () => number = () => performance.now()) {
  const forms = new Map<string, NormalForm>()
  const autoscaledUntil = new Map<string, number>()
  const isAutoscaled = (object: KubeObject): boolean => (autoscaledUntil.get(identityOf(object)) ?? 0) > now()

  function withoutAutoscaled(desired: KubeObject, found: readonly Difference[]): readonly Difference[] {
    return isAutoscaled(desired) ? found.filter(({ path }) => path !== '/spec/replicas') : found
  }

  return {
    withoutAutoscaled,

    /** Of the differences found, those that an apply could mend. */
    settled(desired: KubeObject, live: KubeObject, found: readonly Difference[]): readonly Difference[] {
      const open = withoutAutoscaled(desired, found)
      if (open.length === 0) return open
      const form = forms.get(identityOf(desired))
      const known =
        form !== undefined &&
        form.uid === live.metadata.uid &&
        form.hash === appliedHash(desired) &&
        form.fingerprint === fingerprintOf(open)
      return known ? [] : open
    },

    /** The answer to an apply still differs: that is how this server stores it. */
    remember(desired: KubeObject, answer: KubeObject, rest: readonly Difference[]): void {
      forms.set(identityOf(desired), {
        uid: answer.metadata.uid,
        hash: appliedHash(desired),
        fingerprint: fingerprintOf(rest),
        fields: rest.map(({ path }) => path),
      })
    },

    /** Fields of this very object that the server keeps otherwise; empty for most. */
    fields(desired: KubeObject): readonly string[] {
      const form = forms.get(identityOf(desired))
      return form !== undefined && form.hash === appliedHash(desired) ? form.fields : []
    },

    autoscaled(desired: KubeObject): void {
      autoscaledUntil.set(identityOf(desired), now() + AUTOSCALED_MS)
    },

    /** The body to apply: an autoscaler's replicas are left out, once it has set them. */
    withoutReplicas(desired: KubeObject, live: KubeObject | undefined): KubeObject {
      const spec = desired['spec'] as Readonly<Record<string, unknown>> | undefined
      const actual = live?.['spec'] as Readonly<Record<string, unknown>> | undefined
      if (!isAutoscaled(desired) || spec === undefined || actual === undefined || actual['replicas'] === spec['replicas']) return desired
      const { replicas: _, ...rest } = spec
      return { ...desired, spec: rest }
    },

    forget(object: KubeObject): void {
      forms.delete(identityOf(object))
      autoscaledUntil.delete(identityOf(object))
    },
  }
}

function fingerprintOf(found: readonly Difference[]): string {
  return JSON.stringify(found.map(({ path, type, live }) => [path, type, live]))
}
