/** A real Prometheus that scrapes the mesh's metric from the test itself. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { freePort } from '../../local-cluster/ports.ts'
import { createSupervisor, type Part } from '../../local-cluster/supervise.ts'
import { waitReady } from '../../local-cluster/wait.ts'
import { eventually } from './eventually.ts'
import { findPrometheus } from './prometheus-binary.ts'

/** Labels of a counter as the proxy of the destination reports it; `istio_requests_total` unless it names another one. */
export interface Call {
  readonly metric?: string
  readonly source_app: string
  readonly source_workload_namespace: string
  readonly destination_service: string
  readonly response_code?: string
}

export interface PrometheusServer extends AsyncDisposable {
  /** `http://127.0.0.1:port` */
  readonly address: string
  /** What is scraped from now on; the counters grow by themselves. A call that is left out is gone at the next scrape. */
  readonly calls: (calls: readonly Call[]) => void
  /** Resolves when two scrapes that began from now on are over, so that queries see what was last said. */
  readonly scraped: () => Promise<void>
  /** The queries that it worked on so far, by its own query log. */
  readonly queries: () => readonly string[]
  /** Ends it as a deleted pod ends; its data stay. */
  readonly stop: () => Promise<void>
  /** On the same port again. */
  readonly start: () => Promise<void>
}

const SCRAPE_INTERVAL = '500ms'
const QUERY_LOG = 'queries.log'

/** Resolves when it is ready. Throws an Error that says what to install where there is no Prometheus. */
export async function startPrometheus(): Promise<PrometheusServer> {
  const program = await findPrometheus()
  const supervisor = await createSupervisor('prometheus')
  let calls: readonly Call[] = []
  let scrapes = 0
  const target = createServer((_, response) => {
    scrapes++
    response.setHeader('content-type', 'text/plain; version=0.0.4')
    response.end([...calls.map((call, index) => sampleOf(call, scrapes + index)), ''].join('\n'))
  })
  await once(target.listen(0, '127.0.0.1'), 'listening')
  const port = await freePort()
  const address = `http://127.0.0.1:${port}`
  writeFileSync(join(supervisor.dir, 'prometheus.yml'), configuration((target.address() as AddressInfo).port))
  let starts = 0
  let part: Part | undefined

  async function start(): Promise<void> {
    const args = ['--config.file=prometheus.yml', `--web.listen-address=127.0.0.1:${port}`, '--storage.tsdb.path=data', '--log.level=warn']
    part = supervisor.start(`prometheus-${++starts}`, { file: program, args })
    await waitReady('Prometheus', [part], async () => (await fetch(`${address}/-/ready`)).ok)
  }

  async function scraped(): Promise<void> {
    // the one that is going on may have begun before
    const enough = scrapes + 2
    await eventually(() => assert.ok(scrapes >= enough, 'Prometheus does not scrape'), { timeout: 60_000 })
  }

  await start()
  return {
    address,
    calls: (next) => void (calls = next),
    scraped,
    queries: () =>
      readFileSync(join(supervisor.dir, QUERY_LOG), 'utf8')
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => (JSON.parse(line) as { readonly params: { readonly query: string } }).params.query),
    stop: async () => await part?.stop('SIGTERM'),
    start,
    async [Symbol.asyncDispose]() {
      await supervisor.close()
      target.closeAllConnections()
      target.close()
      await once(target, 'close')
    },
  }
}

function sampleOf({ metric = 'istio_requests_total', ...labels }: Call, value: number): string {
  const pairs = Object.entries({ reporter: 'destination', response_code: '200', ...labels }).map(([name, text]) => `${name}="${text}"`)
  return `${metric}{${pairs.join(',')}} ${value}`
}

function configuration(port: number): string {
  const scrape = { job_name: 'mesh', static_configs: [{ targets: [`127.0.0.1:${port}`] }] }
  const global = { scrape_interval: SCRAPE_INTERVAL, scrape_timeout: SCRAPE_INTERVAL, query_log_file: QUERY_LOG }
  return JSON.stringify({ global, scrape_configs: [scrape] })
}
