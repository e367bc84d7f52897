/** Is a request from inside the pod? Not everything that comes from a loopback address is: a proxy in the pod hands on what others send. */
import type { IncomingMessage } from 'node:http'
import { canonicalAddress } from '../mesh/endpoints.ts'
import { FROM_PROXY, isProxyAddress } from '../mesh/injected.ts'

const OWN_ADDRESSES: ReadonlySet<string> = new Set(['127.0.0.1', '::1'])
/** A proxy adds the first three, a browser (some page that asks for this address) the others. */
const FOREIGN_HEADER = /^(?:x-forwarded-.*|x-envoy-.*|forwarded|origin|sec-fetch-site)$/

/** Why a request is not from inside the pod, and what to do; undefined when it is. */
export function strangerReason({
  socket,
  headers,
}: Pick<IncomingMessage, 'headers'> & { readonly socket: { readonly remoteAddress?: string | undefined } }): string | undefined {
  const address = canonicalAddress(socket.remoteAddress ?? '')
  if (isProxyAddress(address)) return `${REMEDY} ${FROM_PROXY}`
  return OWN_ADDRESSES.has(address) && !Object.keys(headers).some((name) => FOREIGN_HEADER.test(name)) ? undefined : REMEDY
}

const REMEDY = 'Only from the pod itself: kubectl port-forward and curl, or kubectl debug.'
