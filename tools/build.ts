/** `npm run build`: dist/slimeboot.mjs, one file that needs nothing but Node: the command line with templates and CRDs in it. */
import { build, type BuildFailure, type Plugin } from 'esbuild'
import { chmodSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { readAssets } from '../operator/assets.ts'

const ROOT = join(import.meta.dirname, '..')
const BUNDLE = join(ROOT, 'dist', 'slimeboot.mjs')
/** CommonJS dependencies call require(), which an ES module does not have. */
const BANNER = `#!/usr/bin/env node
import { createRequire as createRequireForBundle } from 'node:module'
const require = createRequireForBundle(import.meta.url)`

const startedAt = performance.now()
const { errors } = await build({
  entryPoints: [join(ROOT, 'operator', 'cli', 'main.ts')],
  outfile: BUNDLE,
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node24',
  minifySyntax: true,
  // Error classes keep their names in logs.
  keepNames: true,
  banner: { js: BANNER },
  legalComments: 'external',
  plugins: [embeddedAssets()],
  logLevel: 'warning',
}).catch((failure: BuildFailure) => failure) // Already printed.
if (errors.length > 0) process.exit(1)
chmodSync(BUNDLE, 0o755)
console.log(`dist/slimeboot.mjs: ${(statSync(BUNDLE).size / 1e6).toFixed(1)} MB in ${Math.round(performance.now() - startedAt)} ms`)

/** Replaces operator/assets.ts, which reads a checkout, by a module that has the same files as text. */
function embeddedAssets(): Plugin {
  return {
    name: 'embedded-assets',
    setup: ({ onLoad }) => {
      onLoad({ filter: /[/\\]operator[/\\]assets\.ts$/ }, () => {
        const folders = (['templates', 'crds', 'samples'] as const).map((folder) => [folder, [...readAssets(folder)]])
        return {
          loader: 'js',
          contents: `
            const folders = new Map(${JSON.stringify(folders)})
            export const readAssets = (folder) => new Map(folders.get(folder))`,
        }
      })
    },
  }
}
