/** The few calls on the Kubernetes API that are used, over raw JSON: no field is dropped or converted. */
import type { KubeObject } from './object.ts'
import { collectionPath, objectPath, type ObjectRef, refOf, type ResourceType } from './resource.ts'
import { hasCode } from './errors.ts'
import { type ListBody, readList } from './list-reader.ts'
import type { Transport } from './transport.ts'
import type { IncomingMessage } from 'node:http'

export interface JsonPatchOperation {
  readonly op: 'add' | 'remove' | 'replace' | 'test'
  readonly path: string
  readonly value?: unknown
}

export interface ListOptions {
  readonly namespace?: string | undefined
  readonly labelSelector?: string | undefined
  readonly fieldSelector?: string | undefined
  /** At most so many, of the first page only. */
  readonly limit?: number
  readonly resourceVersion?: string
  readonly resourceVersionMatch?: 'NotOlderThan' | 'Exact'
  /** What is kept of each object, undefined for nothing: a large list is never in memory as a whole. */
  readonly map?: (object: KubeObject) => KubeObject | undefined
  /** Only `metadata` of each object (PartialObjectMetadata). */
  readonly metadataOnly?: boolean
  readonly signal?: AbortSignal
}

export interface ObjectList {
  readonly resourceVersion: string
  readonly items: readonly KubeObject[]
}

export interface ApplyOptions {
  readonly fieldManager: string
  readonly dryRun?: boolean
}

export interface DeleteOptions {
  readonly uid?: string | undefined
  readonly resourceVersion?: string | undefined
  readonly propagationPolicy?: 'Foreground' | 'Background' | 'Orphan'
}

export type Client = ReturnType<typeof createClient>

const PAGE = 500
const APPLY = 'application/apply-patch+yaml'

/** `pageSize`: objects in one answer to a list. */
export function createClient(transport: Transport, { pageSize = PAGE }: { readonly pageSize?: number } = {}) {
  async function page(
    type: ResourceType,
    options: ListOptions,
    token: string | undefined,
  ): Promise<{ list: ObjectList; next: string | undefined }> {
    const { namespace, signal, metadataOnly, limit, map = (item) => item, ...query } = options
    // a list's items carry neither apiVersion nor kind
    const read = (item: unknown): KubeObject | undefined => map({ ...(item as KubeObject), apiVersion: type.apiVersion, kind: type.kind })
    const body = (await transport.request({
      method: 'GET',
      path: collectionPath(type, namespace),
      query:
        token === undefined
          ? { ...query, limit: limit ?? pageSize }
          : { labelSelector: query.labelSelector, fieldSelector: query.fieldSelector, limit: limit ?? pageSize, continue: token },
      signal,
      read: async (chunks) => await readList(chunks, read),
      ...(metadataOnly === true ? { accept: 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1' } : {}),
    })) as ListBody<KubeObject>
    const next = body.metadata?.continue
    return { list: { resourceVersion: body.metadata?.resourceVersion ?? '', items: body.items }, next: next === '' ? undefined : next }
  }

  return {
    server: transport.server,

    /** The object, or undefined where it does not exist. A kind that the server does not know throws ApiError with `unknownKind`. */
    async get(ref: ObjectRef, signal?: AbortSignal): Promise<KubeObject | undefined> {
      try {
        return (await transport.request({ method: 'GET', path: objectPath(ref), signal })) as KubeObject
      } catch (error) {
        if (hasCode(error, 404) && !error.unknownKind) return undefined
        throw error
      }
    },

    /** All pages of a list, consistent unless `resourceVersion` says otherwise. */
    async list(type: ResourceType, options: ListOptions = {}): Promise<ObjectList> {
      let { list, next } = await page(type, options, undefined)
      if (next === undefined || options.limit !== undefined) return list
      const items = [...list.items]
      try {
        while (next !== undefined) {
          ;({ list, next } = await page(type, options, next))
          items.push(...list.items)
        }
      } catch (error) {
        // the pages were compacted away while they were read: all at once, as client-go's pager does
        if (hasCode(error, 410)) return (await page(type, { ...options, limit: 0 }, undefined)).list
        throw error
      }
      return { resourceVersion: list.resourceVersion, items }
    },

    /** Server-side apply, forced: creates or changes; returns what is stored then. */
    async apply(type: ResourceType, object: KubeObject, options: ApplyOptions): Promise<KubeObject> {
      return (await transport.request({
        method: 'PATCH',
        path: objectPath(refOf(type, object)),
        query: { fieldManager: options.fieldManager, force: true, dryRun: options.dryRun === true ? 'All' : undefined },
        contentType: APPLY,
        body: object,
      })) as KubeObject
    },

    async create(type: ResourceType, object: KubeObject, fieldManager?: string, signal?: AbortSignal): Promise<KubeObject> {
      return (await transport.request({
        method: 'POST',
        path: collectionPath(type, type.namespaced ? object.metadata.namespace : undefined),
        query: { fieldManager },
        body: object,
        signal,
      })) as KubeObject
    },

    /** Replaces the whole object (PUT); with `metadata.resourceVersion` only if it is still that one, else ApiError 409. */
    async replace(type: ResourceType, object: KubeObject, signal?: AbortSignal): Promise<KubeObject> {
      return (await transport.request({ method: 'PUT', path: objectPath(refOf(type, object)), body: object, signal })) as KubeObject
    },

    /** JSON patch (RFC 6902): all operations or none. */
    async jsonPatch(
      ref: ObjectRef,
      operations: readonly JsonPatchOperation[],
      fieldManager: string,
      subresource?: string,
    ): Promise<KubeObject> {
      return (await transport.request({
        method: 'PATCH',
        path: objectPath(ref, subresource),
        query: { fieldManager },
        contentType: 'application/json-patch+json',
        body: operations,
      })) as KubeObject
    },

    /** JSON merge patch (RFC 7386). */
    async mergePatch(ref: ObjectRef, patch: unknown, fieldManager: string, subresource?: string): Promise<KubeObject> {
      return (await transport.request({
        method: 'PATCH',
        path: objectPath(ref, subresource),
        query: { fieldManager },
        contentType: 'application/merge-patch+json',
        body: patch,
      })) as KubeObject
    },

    /** Deletes with preconditions. False where it was gone already, its kind unknown, or its uid another. */
    async remove(ref: ObjectRef, options: DeleteOptions = {}): Promise<boolean> {
      const { uid, resourceVersion, propagationPolicy = 'Background' } = options
      const preconditions = { ...(uid === undefined ? {} : { uid }), ...(resourceVersion === undefined ? {} : { resourceVersion }) }
      try {
        await transport.request({
          method: 'DELETE',
          path: objectPath(ref),
          body: { apiVersion: 'v1', kind: 'DeleteOptions', propagationPolicy, preconditions },
        })
        return true
      } catch (error) {
        if (hasCode(error, 404)) return false
        throw error
      }
    },

    /** An open watch from `resourceVersion` on, with bookmarks; lines of JSON. */
    async watch(
      type: ResourceType,
      options: ListOptions & { readonly timeoutSeconds: number; readonly signal: AbortSignal },
    ): Promise<IncomingMessage> {
      const { namespace, labelSelector, fieldSelector, resourceVersion, timeoutSeconds, signal } = options
      return await transport.stream({
        method: 'GET',
        path: collectionPath(type, namespace),
        query: { watch: true, allowWatchBookmarks: true, labelSelector, fieldSelector, resourceVersion, timeoutSeconds },
        signal,
      })
    },

    /** The server's `/version`. */
    async version(): Promise<{ major: number; minor: number; gitVersion: string }> {
      const body = (await transport.request({ method: 'GET', path: '/version' })) as { major: string; minor: string; gitVersion: string }
      return { major: Number.parseInt(body.major, 10), minor: Number.parseInt(body.minor, 10), gitVersion: body.gitVersion }
    },
  }
}
