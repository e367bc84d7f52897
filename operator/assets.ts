/** Files that ship with the program and are read at start: templates, CRDs, samples. */
import { readdirSync, readFileSync } from 'node:fs'
import { join, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

export type AssetFolder = 'templates' | 'crds' | 'samples'

const projectRoot = fileURLToPath(new URL('..', import.meta.url))

/** Texts of one folder by path relative to it, `/` between folders, sorted by path. Throws when the folder is missing. */
export function readAssets(folder: AssetFolder): ReadonlyMap<string, string> {
  const root = join(projectRoot, folder)
  const files = readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1))
    .sort()
  return new Map(files.map((file) => [file.split(sep).join('/'), readFileSync(join(root, file), 'utf8')]))
}
