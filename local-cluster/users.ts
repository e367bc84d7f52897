/**
 * Users of a local cluster. Two kinds of tokens: fixed ones from a token file (administrator, controllers), and tokens that carry
 * their own user and groups, signed with the cluster's key. The API server hands the second kind to a small token webhook, so a
 * test can invent a user at any time, from any process that knows the cluster's folder.
 * https://kubernetes.io/docs/reference/access-authn-authz/authentication/#webhook-token-authentication
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import type { AddressInfo } from 'node:net'

export interface User {
  readonly name: string
  readonly groups: readonly string[]
}

interface TokenReview {
  readonly spec?: { readonly token?: string }
}

/** A bearer token for `user`, valid on the cluster with this key for as long as that cluster lives. */
export function userToken(user: User, key: string): string {
  const payload = Buffer.from(JSON.stringify(user)).toString('base64url')
  return `${payload}.${signature(payload, key)}`
}

/** The user whom a token names, or undefined when it is not one of ours. */
export function userOfToken(token: string, key: string): User | undefined {
  const [payload = '', given = ''] = token.split('.')
  const expected = Buffer.from(signature(payload, key))
  const actual = Buffer.from(given)
  if (actual.length !== expected.length || !timingSafeEqual(actual, expected)) return undefined
  return JSON.parse(Buffer.from(payload, 'base64url').toString()) as User
}

/** Starts the webhook on a free port of the loopback address. It alone does not keep the process alive. */
export async function startTokenWebhook(key: string): Promise<{ readonly url: string; readonly server: Server }> {
  const server = createServer((request, response) => {
    text(request).then(
      (body) => {
        const user = userOfToken((JSON.parse(body) as TokenReview).spec?.token ?? '', key)
        const status =
          user === undefined
            ? { authenticated: false }
            : { authenticated: true, user: { username: user.name, groups: [...user.groups, 'system:authenticated'] } }
        response.setHeader('content-type', 'application/json')
        response.end(JSON.stringify({ apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', status }))
      },
      (error: unknown) => response.destroy(error instanceof Error ? error : new Error(String(error))),
    )
  })
  server.listen(0, '127.0.0.1')
  server.unref()
  await once(server, 'listening')
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, server }
}

function signature(payload: string, key: string): string {
  return createHmac('sha256', key).update(payload).digest('base64url')
}
