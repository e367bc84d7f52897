/**
 * Istio's sample application in small: each service answers on port 9080 with its name and what those that it calls have answered.
 * `bookinfo.ts NAME-VERSION`
 */
import { createServer } from 'node:http'

interface Page {
  readonly service: string
  readonly calls: readonly { readonly url: string; readonly status: number }[]
}

const CALLS: Readonly<Record<string, readonly string[]>> = {
  'productpage-v1': ['http://details:9080/details/0', 'http://reviews:9080/reviews/0'],
  'reviews-v2': ['http://ratings:9080/ratings/0'],
  'reviews-v3': ['http://ratings:9080/ratings/0'],
}

const [service = ''] = process.argv.slice(2)

createServer((request, response) => {
  void visit(request.url === '/health' ? [] : (CALLS[service] ?? [])).then((calls) => {
    response.statusCode = calls.every(({ status }) => status === 200) ? 200 : 502
    response.end(JSON.stringify({ service, calls } satisfies Page))
  })
}).listen(9080)

/** One after the other, as the original does. */
async function visit(urls: readonly string[]): Promise<Page['calls']> {
  const calls: Page['calls'][number][] = []
  for (const url of urls) calls.push({ url, status: await statusOf(url) })
  return calls
}

async function statusOf(url: string): Promise<number> {
  return await fetch(url).then(
    async (answer) => {
      await answer.arrayBuffer()
      return answer.status
    },
    () => 0,
  )
}
