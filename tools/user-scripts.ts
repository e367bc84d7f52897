/**
 * Makes the scripts that users run. Each is one file, because it is piped to bash; its parts, a subject each, are in `scripts/parts/`.
 * `npm run build` writes them; a test fails when one is stale.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const FOLDER = join(import.meta.dirname, '..', 'scripts')

/** Names and constants before what uses them; the call of `main` last. */
const PARTS: Readonly<Record<string, readonly string[]>> = {
  'easy_install_lazyload.sh': [
    'install/header',
    'shared',
    'install/arguments',
    'install/files',
    'install/checks',
    'install/earlier-operator',
    'install/operator',
    'install/slimeboot',
    'install/main',
  ],
  'easy_uninstall_lazyload.sh': [
    'uninstall/header',
    'shared',
    'uninstall/names',
    'uninstall/arguments',
    'uninstall/checks',
    'uninstall/manifests',
    'uninstall/fences',
    'uninstall/slimeboots',
    'uninstall/owned-objects',
    'uninstall/operator',
    'uninstall/main',
  ],
}

/** Path to text, for both. */
export function userScripts(): ReadonlyMap<string, string> {
  return new Map(
    Object.entries(PARTS).map(([script, parts]) => [
      join(FOLDER, script),
      parts.map((part) => readFileSync(join(FOLDER, 'parts', `${part}.sh`), 'utf8')).join('\n'),
    ]),
  )
}
