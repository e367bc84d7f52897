/**
 * Connections to the API server: address, credentials and keep-alive agents from a kubeconfig, kept while the credentials are fresh.
 * @kubernetes/client-node supplies kubeconfig, credentials and TLS (docs/decisions/0001-dependencies.md).
 */
import http from 'node:http'
import https from 'node:https'
import type { KubeConfig } from '@kubernetes/client-node'

export interface Connection {
  readonly base: URL
  /** User agent and credentials, names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly agent: http.Agent
  /** Apart, so that open watches hold up no request. */
  readonly watchAgent: http.Agent
}

export interface Connections {
  /** `https://host:port` */
  readonly server: string
  /** Asks for credentials anew every 30 s. Throws what their plugin or file does. */
  connect(): Promise<Connection>
  /** Reads the kubeconfig anew; one that cannot be read just now leaves the present one in force. */
  reload(): void
  /** Closes idle sockets: where one connection has died without a word, those that lie idle beside it have too. */
  dropIdle(): void
  close(): void
}

/** client-node re-reads a token file after 60 s. */
const CREDENTIALS_MS = 30_000
const KEEP_ALIVE_MS = 15_000

/** Throws an Error where the kubeconfig cannot be read or names no cluster. */
export function createConnections(loadConfig: () => KubeConfig, userAgent: string): Connections {
  let config = loadConfig()
  let connection: { value: Connection; until: number } | undefined
  let agents: { key: string; agent: http.Agent; watchAgent: http.Agent } | undefined
  const server = config.getCurrentCluster()?.server
  if (server === undefined) throw new Error('kubeconfig: no current cluster. Set KUBECONFIG or --kubeconfig, or run inside a pod.')

  return {
    server,

    async connect() {
      if (connection !== undefined && connection.until > performance.now()) return connection.value
      const tls: https.RequestOptions = {}
      await config.applyToHTTPSOptions(tls)
      const cluster = config.getCurrentCluster()
      const key = JSON.stringify([String(tls.ca ?? ''), String(tls.cert ?? ''), tls.rejectUnauthorized, tls.servername, cluster?.proxyUrl])
      if (agents?.key !== key) {
        agents?.agent.destroy()
        agents = { key, ...createAgents(server, tls, cluster?.proxyUrl !== undefined) }
      }
      const headers: Record<string, string> = { 'user-agent': userAgent }
      for (const [name, value] of Object.entries(tls.headers ?? {})) headers[name.toLowerCase()] = String(value)
      if (typeof tls.auth === 'string') headers['authorization'] = `Basic ${Buffer.from(tls.auth).toString('base64')}`
      const value = { base: new URL(server), headers, agent: agents.agent, watchAgent: agents.watchAgent }
      connection = { value, until: performance.now() + CREDENTIALS_MS }
      return value
    },

    reload() {
      connection = undefined
      try {
        config = loadConfig()
      } catch {
        // half written just now: the old one serves until the next 401
      }
    },

    dropIdle() {
      for (const socket of Object.values(agents?.agent.freeSockets ?? {}).flat()) socket?.destroy()
    },

    close() {
      agents?.agent.destroy()
      agents?.watchAgent.destroy()
    },
  }
}

function createAgents(server: string, tls: https.RequestOptions, proxied: boolean): { agent: http.Agent; watchAgent: http.Agent } {
  if (proxied && tls.agent instanceof http.Agent) return { agent: tls.agent, watchAgent: tls.agent }
  const { ca, cert, key, rejectUnauthorized, servername, passphrase, pfx } = tls
  const secure = Object.fromEntries(
    Object.entries({ ca, cert, key, rejectUnauthorized, servername, passphrase, pfx }).filter(([, value]) => value !== undefined),
  )
  const create = (): http.Agent =>
    server.startsWith('http:')
      ? new http.Agent({ keepAlive: true, keepAliveMsecs: KEEP_ALIVE_MS, scheduling: 'lifo' })
      : new https.Agent({ keepAlive: true, keepAliveMsecs: KEEP_ALIVE_MS, scheduling: 'lifo', ...secure })
  return { agent: create(), watchAgent: create() }
}
