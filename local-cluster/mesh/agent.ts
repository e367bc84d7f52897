/** The application of a pod, told what to do from outside of it: HTTP calls from the pod's address, HTTP servers on it. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { NetNamespace } from './net-namespace.ts'

const PROGRAM = join(import.meta.dirname, 'programs/agent.ts')
const TIMEOUT_MS = 10_000

export interface CallOptions {
  readonly method?: string
  /** `host` too. */
  readonly headers?: Readonly<Record<string, string | readonly string[]>>
  /** Another address of the pod to call from. */
  readonly localAddress?: string
  /** Milliseconds (default 10,000). */
  readonly timeoutMs?: number
}

export interface CallAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | readonly string[]>>
  readonly text: string
}

export interface Agent {
  /** One HTTP request; rejects when no answer comes. Connections are kept. */
  readonly call: (url: string, options?: CallOptions) => Promise<CallAnswer>
  /** Answers HTTP on this port with `{host, path, from, forwardedFor}` of each request. */
  readonly serve: (port: number) => Promise<void>
  readonly stop: () => Promise<void>
}

/** Starts it inside `namespace`. */
export function startAgent(namespace: Pick<NetNamespace, 'command'>): Agent {
  const { file, args } = namespace.command(process.execPath, [PROGRAM])
  const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'ignore'] })
  const waiting = new Map<number, PromiseWithResolvers<unknown>>()
  let last = 0
  let ended = false
  // it keeps this process alive only while an answer is due
  const handles = [child, child.stdin as unknown as Socket, child.stdout as unknown as Socket]
  const hold = (on: boolean): void => handles.forEach((handle) => (on ? handle.ref() : handle.unref()))
  hold(false)
  createInterface({ input: child.stdout }).on('line', (line) => {
    const { id, result, error } = JSON.parse(line) as { readonly id: number; readonly result?: unknown; readonly error?: string }
    const answer = waiting.get(id)
    waiting.delete(id)
    if (waiting.size === 0) hold(false)
    if (error === undefined) answer?.resolve(result)
    else answer?.reject(new Error(error))
  })
  child.stdin.on('error', () => {})
  const gone = once(child, 'close').then(() => {
    ended = true
    for (const answer of waiting.values()) answer.reject(new Error('the pod has ended'))
  })

  async function order(what: object): Promise<unknown> {
    if (ended) throw new Error('the pod has ended')
    const id = ++last
    const answer = Promise.withResolvers<unknown>()
    waiting.set(id, answer)
    hold(true)
    child.stdin.write(`${JSON.stringify({ id, ...what })}\n`)
    return await answer.promise
  }

  return {
    call: async (url, { method = 'GET', headers = {}, timeoutMs = TIMEOUT_MS, localAddress } = {}) =>
      (await order({ call: { url, method, headers, timeoutMs, localAddress } })) as CallAnswer,
    serve: async (port) => void (await order({ listen: port })),
    stop: async () => {
      if (ended) return
      hold(true)
      child.stdin.end()
      await gone
    },
  }
}
