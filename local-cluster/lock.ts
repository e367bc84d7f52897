/** A lock between processes: a file that names the one who holds it. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { startProgress } from './setup/progress.mjs'

/** Runs `work` while no other process holds `file`. The lock of a process that is gone does not count. */
export async function withLock<Result>(file: string, work: () => Promise<Result>): Promise<Result> {
  mkdirSync(dirname(file), { recursive: true })
  const progress = startProgress('Waiting for another process that does the same', { quietMs: 1000 })
  try {
    while (!tryLock(file)) await sleep(200)
  } finally {
    progress.stop()
  }
  try {
    return await work()
  } finally {
    rmSync(file, { force: true })
  }
}

function tryLock(file: string): boolean {
  try {
    writeFileSync(file, String(process.pid), { flag: 'wx' })
    return true
  } catch {
    if (!isAlive(holderOf(file))) rmSync(file, { force: true })
    return false
  }
}

function holderOf(file: string): number {
  try {
    const holder = Number(readFileSync(file, 'utf8'))
    return holder > 0 ? holder : process.pid // Being written right now.
  } catch {
    return process.pid // Released right now.
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
