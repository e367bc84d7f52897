/**
 * Network namespaces that leave nothing behind. None has a name: each lives as long as the processes in it, and those never outlive
 * the supervisor (../supervise.ts). So the machine's own network is never touched, and a killed run has nothing to clean up.
 * https://man7.org/linux/man-pages/man7/network_namespaces.7.html
 */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { partFailure, type Command, type Part, type Supervisor } from '../supervise.ts'

export interface CommandOptions {
  /** Added to the environment of this process. */
  readonly env?: Readonly<Record<string, string>>
  /** User id that the program runs as; needs root. */
  readonly uid?: number
}

/** A network namespace with a mount namespace of its own. */
export interface NetNamespace {
  /** The process that holds it. */
  readonly pid: number
  /** The command line that runs a program inside. It ends when the process that starts it ends. */
  readonly command: (file: string, args: readonly string[], options?: CommandOptions) => Command
  /** Runs a program to its end; returns its standard output, throws an Error with its standard error unless it ends with 0. */
  readonly exec: (file: string, args: readonly string[], options?: CommandOptions) => Promise<string>
  /** Ends the holder. The namespace is gone with its last process. */
  readonly release: () => Promise<void>
}

const IS_ROOT = process.getuid?.() === 0
// Whoever is not root is root in a user namespace of its own.
const NEW_USER = IS_ROOT ? [] : ['--user', '--map-root-user']
const ENTER_USER = IS_ROOT ? [] : ['--user', '--preserve-credentials']
const HELD_WITHIN_MS = 30_000

/** Why there can be no network namespaces here, with the command that helps; undefined when there can. */
export function namespaceProblem(): string | undefined {
  if (process.platform !== 'linux') return 'Pods as network namespaces need Linux.'
  for (const [program, pack] of [
    ['unshare', 'util-linux'],
    ['nsenter', 'util-linux'],
    ['setpriv', 'util-linux'],
    ['mount', 'mount'],
    ['ip', 'iproute2'],
  ] as const) {
    if (spawnSync(program, ['--help']).error !== undefined)
      return `Pods as network namespaces need the program "${program}": apt-get install -y ${pack} (or your system's package of that name).`
  }
  const { status, stderr } = spawnSync('unshare', [...NEW_USER, '--net', '--mount', 'true'], { encoding: 'utf8' })
  if (status === 0) return undefined
  const remedy = IS_ROOT
    ? 'this root has no CAP_SYS_ADMIN: in a container, start it with --cap-add SYS_ADMIN --cap-add NET_ADMIN'
    : 'run as root, or allow user namespaces: sysctl -w kernel.unprivileged_userns_clone=1 user.max_user_namespaces=10000 (Ubuntu: kernel.apparmor_restrict_unprivileged_userns=0)'
  return `Network namespaces cannot be made: ${stderr.trim()}. Remedy: ${remedy}.`
}

/** Makes a namespace. Throws an Error that says what is missing on this machine. */
export async function createNamespace(supervisor: Supervisor, name: string): Promise<NetNamespace> {
  const problem = namespaceProblem()
  if (problem !== undefined) throw new Error(problem)
  return await hold(supervisor, name, NEW_USER)
}

/** Makes another namespace below `parent`, in the same user namespace. */
export async function createChildNamespace(supervisor: Supervisor, name: string, parent: NetNamespace): Promise<NetNamespace> {
  return await hold(supervisor, name, [], parent)
}

async function hold(supervisor: Supervisor, name: string, user: readonly string[], parent?: NetNamespace): Promise<NetNamespace> {
  const unshare = [...user, '--net', '--mount', '--propagation', 'private', 'sleep', 'infinity']
  const command = parent === undefined ? { file: 'unshare', args: unshare } : parent.command('unshare', unshare)
  const holder = supervisor.start(name, command)
  await held(holder)
  const namespace = inside(holder)
  await namespace.exec('ip', ['link', 'set', 'lo', 'up'])
  return namespace
}

/** The holder has made its namespaces, and cut their mounts off from the machine's, before it becomes `sleep`. */
async function held(holder: Part): Promise<void> {
  const deadline = performance.now() + HELD_WITHIN_MS
  while (programOf(holder.pid) !== 'sleep') {
    const end = holder.ended()
    if (end !== undefined) throw partFailure(holder, `ended (${end})`)
    if (performance.now() > deadline) throw partFailure(holder, `made no namespace within ${HELD_WITHIN_MS / 1000} s`)
    await sleep(2)
  }
}

function programOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim()
  } catch {
    return ''
  }
}

function inside(holder: Part): NetNamespace {
  const enter = ['--target', String(holder.pid), ...ENTER_USER, '--net', '--mount', '--', 'setpriv', '--pdeathsig', 'KILL']
  const command: NetNamespace['command'] = (file, args, { env = {}, uid } = {}) => {
    const user = uid === undefined ? [] : ['--reuid', String(uid), '--regid', String(uid), '--clear-groups']
    const variables = Object.entries(env).map(([key, value]) => `${key}=${value}`)
    return { file: 'nsenter', args: [...enter, ...user, 'env', ...variables, file, ...args] }
  }
  return {
    pid: holder.pid,
    command,
    exec: async (file, args, options) => {
      const inner = command(file, args, options)
      const child = spawn(inner.file, inner.args, { stdio: ['ignore', 'pipe', 'pipe'] })
      const [output, errors, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
      if (code === 0) return output
      throw new Error(`${file} ${args.join(' ')}: ended with ${String(code)}: ${errors.trim()}`)
    },
    release: async () => await holder.stop(),
  }
}
