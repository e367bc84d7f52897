/** The volumes of a pod as folders of this machine. They are filled once, when the pod starts. */
import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { ClusterAccess } from '../access.ts'
import { type FieldFile, fieldOf, type Pod, type Volume } from './pod.ts'

const TOKEN_SECONDS = 7200

export interface Folders {
  /** Where a volume is made that lives as long as the pod. */
  readonly pod: string
  /** Root of the node's file system. */
  readonly node: string
}

/** Fills the volume; returns its folder. Throws while an object that it needs is missing. */
export async function fillVolume(cluster: Pick<ClusterAccess, 'request'>, pod: Pod, volume: Volume, folders: Folders): Promise<string> {
  const { namespace } = pod.metadata
  if (volume.persistentVolumeClaim !== undefined)
    return await claimedFolder(cluster, `${namespace}/persistentvolumeclaims/${volume.persistentVolumeClaim.claimName}`, folders.node)
  const folder = join(folders.pod, volume.name)
  mkdirSync(folder, { recursive: true })
  await fill(cluster, pod, volume, folder)
  return folder
}

/**
 * Of a claim that is bound to a folder of the node. It is made when it is not there, and given to nobody: fsGroup is not for such
 * volumes, https://kubernetes.io/docs/concepts/storage/volumes/#hostpath
 */
async function claimedFolder(cluster: Pick<ClusterAccess, 'request'>, claim: string, node: string): Promise<string> {
  const { spec } = (await read(cluster, `/api/v1/namespaces/${claim}`))!
  if (spec.volumeName === undefined) throw new Error(`${claim} is not bound`)
  const { spec: volume } = (await read(cluster, `/api/v1/persistentvolumes/${spec.volumeName}`))!
  if (volume.hostPath === undefined) throw new Error(`${claim}: only volumes with hostPath are known here`)
  const folder = join(node, volume.hostPath.path)
  mkdirSync(folder, { recursive: true })
  return folder
}

async function fill(cluster: Pick<ClusterAccess, 'request'>, pod: Pod, volume: Volume, folder: string): Promise<void> {
  const { namespace } = pod.metadata
  const put = (path: string, content: string | Buffer): void => {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), content, { mode: 0o644 })
  }
  const putFields = (items: readonly FieldFile[] = []): void => {
    for (const { path, fieldRef } of items) if (fieldRef !== undefined) put(path, fieldOf(pod, fieldRef.fieldPath))
  }
  const putConfigMap = async ({ name, optional, items }: NonNullable<Volume['configMap']>): Promise<void> => {
    const data = (await read(cluster, `/api/v1/namespaces/${namespace}/configmaps/${name}`, optional))?.data ?? {}
    const files = items ?? Object.keys(data).map((key) => ({ key, path: key }))
    for (const { key, path } of files) put(path, data[key] ?? '')
  }

  if (volume.emptyDir !== undefined) return share(folder, pod, 0o777)
  if (volume.configMap !== undefined) return await putConfigMap(volume.configMap)
  if (volume.downwardAPI !== undefined) return putFields(volume.downwardAPI.items)
  if (volume.secret !== undefined) {
    const { secretName, optional } = volume.secret
    const data = (await read(cluster, `/api/v1/namespaces/${namespace}/secrets/${secretName}`, optional))?.data ?? {}
    for (const [key, value] of Object.entries<string>(data)) put(key, Buffer.from(value, 'base64'))
    return
  }
  if (volume.projected === undefined) throw new Error(`volume ${volume.name}: this kind is not known here`)
  for (const { configMap, downwardAPI, serviceAccountToken } of volume.projected.sources ?? []) {
    if (configMap !== undefined) await putConfigMap(configMap)
    else if (downwardAPI !== undefined) putFields(downwardAPI.items)
    else if (serviceAccountToken !== undefined) put(serviceAccountToken.path, await tokenOf(cluster, pod, serviceAccountToken.audience))
  }
}

/** The kubelet gives such a volume to the pod's fsGroup. */
function share(folder: string, { spec }: Pod, mode: number): void {
  const group = spec.securityContext?.fsGroup
  if (group !== undefined) chownSync(folder, 0, group)
  chmodSync(folder, group === undefined ? mode : 0o2775)
}

async function read({ request }: Pick<ClusterAccess, 'request'>, path: string, optional = false): Promise<any> {
  const { status, body } = await request('GET', path)
  if (status === 200) return body
  if (status === 404 && optional) return undefined
  throw new Error(`${path}: ${body.message ?? status}`)
}

/** As the kubelet gets it, bound to the pod: https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-request-v1/ */
export async function tokenOf({ request }: Pick<ClusterAccess, 'request'>, { metadata, spec }: Pod, audience?: string): Promise<string> {
  const { namespace, name, uid } = metadata
  const account = spec.serviceAccountName
  const { status, body } = await request('POST', `/api/v1/namespaces/${namespace}/serviceaccounts/${account}/token`, {
    body: {
      spec: {
        expirationSeconds: TOKEN_SECONDS,
        boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name, uid },
        ...(audience === undefined ? {} : { audiences: [audience] }),
      },
    },
  })
  if (status !== 201) throw new Error(`ServiceAccount/${namespace}/${account}: no token: ${body.message ?? status}`)
  return body.status.token
}
