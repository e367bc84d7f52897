/** What a process has used so far, from /proc (Linux): https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html */
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { median } from './numbers.ts'

/** USER_HZ; 100 on every Linux that Node supports. */
const TICKS_PER_SECOND = 100

/** CPU time of user and system, seconds. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // the name in parentheses may hold spaces; utime and stime are fields 14 and 15
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

/** Resident memory now, MiB. */
export function residentMiB(pid: number): number {
  return kibOf(pid, 'VmRSS') / 1024
}

/** The most that was ever resident, MiB. */
export function peakMiB(pid: number): number {
  return kibOf(pid, 'VmHWM') / 1024
}

/** Resident memory of a process that has come to rest: median over five seconds, after `restMs`. */
export async function restingMiB(pid: number, restMs: number): Promise<number> {
  await sleep(restMs)
  const samples: number[] = []
  for (let count = 0; count < 11; count++) {
    samples.push(residentMiB(pid))
    await sleep(500)
  }
  return median(samples)
}

function kibOf(pid: number, field: string): number {
  const found = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  if (found === undefined) throw new Error(`/proc/${pid}/status has no ${field}`)
  return Number(found)
}
