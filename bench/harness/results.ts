/** Results in bench/results/, one file per benchmark: each stays until that benchmark is run again. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus } from 'node:os'
import { join } from 'node:path'
import { kubernetesVersion } from '../../local-cluster/versions.ts'
import { compared, isMet, type Result } from './report.ts'

const FOLDER = join(import.meta.dirname, '..', 'results')

export interface SavedResult extends Result {
  /** When (RFC 3339) and on what. */
  readonly measured: {
    readonly at: string
    readonly cores: number
    readonly processor: string
    readonly node: string
    readonly kubernetes: string
  }
}

export function saveResult(result: Result): void {
  mkdirSync(FOLDER, { recursive: true })
  const measured: SavedResult['measured'] = {
    at: new Date().toISOString(),
    cores: availableParallelism(),
    processor: cpus()[0]?.model ?? '',
    node: process.versions.node,
    kubernetes: kubernetesVersion(),
  }
  const rows = result.rows.map((row) => ({ ...row, compared: compared(row), met: isMet(row) }))
  writeFileSync(fileOf(result.name), `${JSON.stringify({ ...result, rows, measured }, null, 2)}\n`)
}

/** Undefined for a benchmark that was never run in full. */
export function savedResult(name: string): SavedResult | undefined {
  const file = fileOf(name)
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as SavedResult) : undefined
}

function fileOf(name: string): string {
  return join(FOLDER, `${name}.json`)
}
