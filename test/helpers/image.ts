/** The image without a container engine: the file tree and the commands that the last stage of the Dockerfile describes. */
import { cpSync, mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import type { Image as PodImage } from '../../local-cluster/mesh/pod.ts'
import { PROGRAM_NAMES, writeBundle } from '../../tools/build.ts'

const ROOT = join(import.meta.dirname, '..', '..')
/** Where the build stage has the checkout. */
const SOURCES = '/src/'
const NODE = '/nodejs/bin/node'

export interface Image {
  /** Folder that stands for the root of the image's file system, in the system's temporary folder. */
  readonly root: string
  /** Files of ours in it, relative to the root. */
  readonly files: readonly string[]
  readonly user: string
  readonly entrypoint: readonly string[]
  readonly cmd: readonly string[]
  /** A command of a container as one that runs here: the image's Node is this Node, the image's files are those below `root`. */
  readonly commandHere: (command: readonly string[]) => readonly [string, ...string[]]
}

let assembled: Promise<Image> | undefined

/** Builds the bundles, once in a process, and copies all files to where the Dockerfile puts them. Throws when the Dockerfile does what this cannot follow. */
export async function assembleImage(): Promise<Image> {
  assembled ??= assemble()
  return await assembled
}

async function assemble(): Promise<Image> {
  const root = mkdtempSync(join(realpathSync(tmpdir()), 'slimeboot-image-'))
  process.once('exit', () => rmSync(root, { recursive: true, force: true }))
  const lines = finalStage(readFileSync(join(ROOT, 'Dockerfile'), 'utf8'))
  const copies = lines.flatMap((line) => (/^COPY --from=build (\S+) (\S+)$/.exec(line)?.slice(1, 3) as [string, string] | undefined) ?? [])
  const files: string[] = []
  for (let index = 0; index < copies.length; index += 2) {
    const [from = '', to = ''] = copies.slice(index, index + 2)
    if (!from.startsWith(SOURCES)) throw new Error(`Dockerfile: ${from} is not in ${SOURCES}`)
    const target = join(root, to)
    const source = from.slice(SOURCES.length)
    const program = PROGRAM_NAMES.find((name) => source === `dist/${name}`)
    if (program === undefined) cpSync(join(ROOT, source), target)
    else await writeBundle(program, target)
    files.push(basename(to))
  }
  return {
    root,
    files: files.sort(),
    user: valueOf(lines, 'USER'),
    entrypoint: JSON.parse(valueOf(lines, 'ENTRYPOINT')) as string[],
    cmd: JSON.parse(valueOf(lines, 'CMD')) as string[],
    commandHere: ([file = '', ...args]) => {
      const ours = (word: string): string => (files.includes(word.slice(1)) && word.startsWith('/') ? join(root, word) : word)
      if (file === NODE) return [process.execPath, ...args.map(ours)]
      return [process.execPath, ...nodeOptionsOf(join(root, file)), ours(file), ...args.map(ours)]
    },
  }
}

/** A script of the image names its Node in the first line, as the kernel reads it: the interpreter, and all that follows as one argument. */
function nodeOptionsOf(script: string): readonly string[] {
  const [first = ''] = readFileSync(script, 'utf8').split('\n', 1)
  if (!first.startsWith(`#!${NODE}`)) throw new Error(`${script} does not start with #!${NODE}`)
  const option = first.slice(`#!${NODE}`.length).trim()
  return option === '' ? [] : [option]
}

/** For a kubelet: this image under both of its names; any other as one that does nothing. */
export async function podImages(): Promise<(name: string) => PodImage> {
  const { entrypoint, cmd, root, user } = await assembleImage()
  const ours: PodImage = { entrypoint, cmd, root, uid: Number.parseInt(user), files: { [NODE]: process.execPath } }
  const idle: PodImage = { entrypoint: ['/sleep', 'infinity'], files: { '/sleep': '/usr/bin/sleep' } }
  return (name) => (/^docker\.io\/slimeio\/slime-(boot|lazyload):/.test(name) ? ours : idle)
}

/** Instructions of the last stage, comments and continued lines resolved. */
function finalStage(dockerfile: string): readonly string[] {
  const lines = dockerfile
    .replaceAll('\\\n', ' ')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
  return lines.slice(lines.findLastIndex((line) => line.startsWith('FROM ')))
}

function valueOf(lines: readonly string[], instruction: string): string {
  const line = lines.findLast((each) => each.startsWith(`${instruction} `))
  if (line === undefined) throw new Error(`Dockerfile: no ${instruction} in the last stage`)
  return line.slice(instruction.length + 1)
}
