/** What became of an object, version by version, as a watch tells it. */
import { createInterface } from 'node:readline'
import type { Client } from '../../runtime/client.ts'
import type { KubeObject } from '../../runtime/object.ts'
import type { ObjectRef } from '../../runtime/resource.ts'

export interface History extends Disposable {
  /** The versions since the recording began, oldest first. */
  readonly versions: readonly KubeObject[]
}

/** Records from the version on that `from` is. */
export async function recordHistory(client: Client, { type, namespace, name }: ObjectRef, from: KubeObject): Promise<History> {
  const stop = new AbortController()
  const versions: KubeObject[] = [from]
  const stream = await client.watch(type, {
    ...(namespace === undefined ? {} : { namespace }),
    fieldSelector: `metadata.name=${name}`,
    resourceVersion: from.metadata.resourceVersion ?? '',
    timeoutSeconds: 300,
    signal: stop.signal,
  })
  stream.on('error', () => {})
  createInterface({ input: stream })
    .on('line', (line) => {
      const { type: kind, object } = JSON.parse(line) as { readonly type: string; readonly object: KubeObject }
      if (kind !== 'BOOKMARK') versions.push(object)
    })
    .on('error', () => {})
  return { versions, [Symbol.dispose]: () => stop.abort() }
}
