/** Using a local cluster: addresses, users, raw requests, the audit log. Also from a process that did not start it. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Agent, request } from 'undici'
import { readAuditLog, type AuditEvent } from './audit.ts'
import { clusterFiles, kubeconfig, secret, writePrivate } from './files.ts'
import { userToken, type User } from './users.ts'

/** What a cluster's folder says about it (`cluster.json`). */
export interface ClusterDescription {
  readonly server: string
  readonly adminToken: string
  readonly userKey: string
}

export interface Answer {
  readonly status: number
  /** The JSON body as it came; text where the server sent text. */
  readonly body: any
}

export interface RequestOptions {
  readonly body?: unknown
  /** `application/json`, or `application/apply-patch+yaml`, `application/json-patch+json` and so on. */
  readonly contentType?: string
  /** As `application/json;as=Table;v=v1;g=meta.k8s.io`. */
  readonly accept?: string
  /** Bearer token; the administrator's when absent. */
  readonly token?: string
  readonly signal?: AbortSignal
}

export interface ClusterAccess {
  /** The cluster's folder: logs, keys, kubeconfigs. Removed with the cluster. */
  readonly dir: string
  /** Path of the administrator's kubeconfig. */
  readonly kubeconfig: string
  /** `https://127.0.0.1:PORT` */
  readonly server: string
  readonly adminToken: string
  /** PEM file that verifies the server. */
  readonly caFile: string
  /** Writes a kubeconfig for a token, or for a user who is made up on the spot; returns its path. */
  readonly kubeconfigFor: (tokenOrUser: string | User) => string
  /** A bearer token for a user of this name and these groups. No right comes with it but those of `system:authenticated`. */
  readonly createUser: (name: string, groups?: readonly string[]) => string
  /** The requests so far, or those received from `since` on. Needs a cluster started with `audit`. */
  readonly auditEvents: (since?: Date) => Promise<AuditEvent[]>
  /** One raw request; never throws because of an HTTP status. `path` with query, as `/api/v1/namespaces?limit=5`. */
  readonly request: (method: Method, path: string, options?: RequestOptions) => Promise<Answer>
}

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

/** Opens a running cluster by its folder. */
export function openCluster(dir: string): ClusterAccess {
  const files = clusterFiles(dir)
  const { server, adminToken, userKey } = JSON.parse(readFileSync(files.access, 'utf8')) as ClusterDescription
  const createUser = (name: string, groups: readonly string[] = []) => userToken({ name, groups }, userKey)
  return {
    dir,
    kubeconfig: files.kubeconfig,
    server,
    adminToken,
    caFile: files.ca,
    createUser,
    kubeconfigFor: (tokenOrUser) => {
      const token = typeof tokenOrUser === 'string' ? tokenOrUser : createUser(tokenOrUser.name, tokenOrUser.groups)
      const file = join(dir, `kubeconfig-${secret()}`)
      writePrivate(file, kubeconfig({ server, caFile: files.ca, user: 'user', token }))
      return file
    },
    auditEvents: async (since) => await readAuditLog(files.auditLog, since),
    request: createRequest(server, files.ca, adminToken),
  }
}

/** Requests over keep-alive connections that do not keep the process alive. The CA is read at the first request. */
export function createRequest(server: string, caFile: string, adminToken: string): ClusterAccess['request'] {
  let agent: Agent | undefined
  return async (method, path, { body, contentType = 'application/json', accept = 'application/json', token = adminToken, signal } = {}) => {
    agent ??= new Agent({ connect: { ca: readFileSync(caFile) } })
    const response = await request(`${server}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': contentType, accept, 'user-agent': 'local-cluster' },
      body: body === undefined ? null : JSON.stringify(body),
      dispatcher: agent,
      signal: signal ?? null,
    })
    const text = await response.body.text()
    return { status: response.statusCode, body: isJson(response.headers['content-type']) ? JSON.parse(text) : text }
  }
}

function isJson(contentType: string | string[] | undefined): boolean {
  return String(contentType).startsWith('application/json')
}
