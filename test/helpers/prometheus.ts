/** An HTTP server that answers queries as Prometheus does, with what the test says; for answers that a real one does not give on demand. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface QueryServer extends AsyncDisposable {
  readonly address: string
  readonly queries: readonly string[]
  /** Samples, by the text that a query has; an Error is answered as one. */
  readonly answers: Map<string, readonly Readonly<Record<string, string>>[] | Error>
  /** Given with every answer. */
  readonly warnings: string[]
}

export async function startQueryServer(): Promise<QueryServer> {
  const answers: QueryServer['answers'] = new Map()
  const queries: string[] = []
  const warnings: string[] = []
  const server = createServer((request, response) => {
    const query = new URL(request.url!, 'http://x').searchParams.get('query') ?? ''
    queries.push(query)
    const [, answer = []] = [...answers].find(([text]) => query.includes(text)) ?? []
    if (answer instanceof Error)
      response.writeHead(422).end(JSON.stringify({ status: 'error', errorType: 'execution', error: answer.message }))
    else
      response.end(
        JSON.stringify({
          status: 'success',
          ...(warnings.length === 0 ? {} : { warnings }),
          data: { resultType: 'vector', result: answer.map((metric) => ({ metric, value: [1, String(queries.length)] })) },
        }),
      )
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    queries,
    answers,
    warnings,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
