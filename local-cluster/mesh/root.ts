/**
 * The file system of a container, without a container engine: the files of its image and the pod's volumes below a folder, which a
 * process in a mount namespace of its own has as its root. The C library is this machine's.
 */
import { chmodSync, cpSync, existsSync, lstatSync, mkdirSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Container, Image } from './pod.ts'

const LIBRARIES = ['/lib', '/lib64', '/usr/lib', '/usr/lib64']
const PASSWD = 'root:x:0:0:root:/root:/sbin/nologin\n'

// $1 is the root, $2 "ro" or "rw"; then, two words each, what is mounted: source, target; then "--", and the command line.
const SCRIPT = `
set -e
root=$1 mode=$2
shift 2
mount --bind "$root" "$root"
while [ "$1" != -- ]; do
  # a volume may lie in another one
  [ ! -d "$1" ] || mkdir -p "$root$2"
  mount --rbind "$1" "$root$2"
  shift 2
done
shift
mount -o "remount,bind,$mode" "$root"
exec "$@"
`

export interface Root {
  /** The command line that runs `command` in it as this user, with just these variables. */
  readonly command: (
    command: readonly string[],
    options: { readonly user: User; readonly environment: Readonly<Record<string, string>> },
  ) => readonly [string, ...string[]]
}

export interface User {
  readonly uid: number
  readonly gid: number
  /** A further group; undefined: none. */
  readonly group: number | undefined
}

export interface RootOptions {
  readonly container: Container
  readonly image: Image
  /** Folders of the volumes by name. */
  readonly volumes: ReadonlyMap<string, string>
  /** Where the root is made. */
  readonly folder: string
}

/** Makes it. Throws when a volume is missing. */
export function makeRoot({ container, image, volumes, folder }: RootOptions): Root {
  const root = join(folder, 'root')
  mkdirSync(root, { recursive: true })
  chmodSync(root, 0o755)
  if (image.root !== undefined) cpSync(image.root, root, { recursive: true })
  for (const place of ['tmp', 'etc', 'run', 'var']) mkdirSync(join(root, place), { recursive: true })
  chmodSync(join(root, 'tmp'), 0o1777)
  writeFileSync(join(root, 'etc/passwd'), PASSWD)
  writeFileSync(join(root, 'etc/hosts'), '127.0.0.1 localhost\n')
  link(root, '../run', 'var/run')
  const libraries = LIBRARIES.filter((place) => {
    const found = lstatSync(place, { throwIfNoEntry: false })
    if (found?.isSymbolicLink() === true) link(root, readlinkSync(place), place)
    return found?.isDirectory() === true
  })
  const volumeMounts = (container.volumeMounts ?? []).map(({ name, mountPath }) => {
    const source = volumes.get(name)
    if (source === undefined) throw new Error(`container ${container.name}: there is no volume ${name}`)
    return [source, mountPath] as const
  })
  const mounts = [
    ...libraries.map((place) => [place, place] as const),
    ...['/proc', '/dev', '/etc/resolv.conf'].map((place) => [place, place] as const),
    ...Object.entries(image.files ?? {}).map(([place, source]) => [source, place] as const),
    ...volumeMounts.sort(([, a], [, b]) => a.length - b.length),
  ]
  for (const [source, place] of mounts) if (!lstatSync(source).isDirectory()) touch(join(root, place))
  const words = mounts.flatMap(([source, place]) => [source, place])
  return {
    command: (command, { user: { uid, gid, group }, environment }) => [
      ...(['unshare', '--mount', '--propagation', 'private', 'sh', '-c', SCRIPT, 'container', root] as const),
      container.securityContext?.readOnlyRootFilesystem === true ? 'ro' : 'rw',
      ...words,
      '--',
      'env',
      '-i',
      ...Object.entries(environment).map(([name, value]) => `${name}=${value}`),
      'chroot',
      `--userspec=${uid}:${gid}`,
      `--groups=${group ?? ''}`,
      root,
      ...command,
    ],
  }
}

function link(root: string, to: string, place: string): void {
  if (existsSync(join(root, place))) return
  mkdirSync(dirname(join(root, place)), { recursive: true })
  symlinkSync(to, join(root, place))
}

function touch(file: string): void {
  mkdirSync(dirname(file), { recursive: true })
  if (!existsSync(file)) writeFileSync(file, '')
}
