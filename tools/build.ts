/**
 * `npm run build`: dist/slimeboot.mjs, one file that needs nothing but Node (the command line with templates and CRDs in it), and the
 * committed files that are made from the sources, in `deploy/` and `docs/` (not with `--bundle-only`).
 */
import { build, type BuildFailure, type Plugin } from 'esbuild'
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { parseArgs } from 'node:util'
import { readAssets } from '../operator/assets.ts'
import { deployFiles } from './deploy.ts'
import { FIELD_DOCS, fieldDocs } from './field-docs.ts'
import { REASON_DOCS, reasonDocs } from './reason-docs.ts'
import { RIGHTS_DOCS, rightsDocs } from './rights-docs.ts'

const ROOT = join(import.meta.dirname, '..')
const BUNDLE = join(ROOT, 'dist', 'slimeboot.mjs')
/** CommonJS dependencies call require(), which an ES module does not have. */
const BANNER = `#!/usr/bin/env node
import { createRequire as createRequireForBundle } from 'node:module'
const require = createRequireForBundle(import.meta.url)`

/**
 * Imports of KubeConfig that only its own HTTP calls need, and what is taken from each. Ours go through runtime/transport.ts.
 * Half of the bundle, and 14 MiB of memory at rest, were these.
 */
const UNUSED: Readonly<Record<string, readonly string[]>> = {
  undici: ['Agent', 'ProxyAgent'],
  socks: ['SocksClient'],
  './gen/index.js': ['createConfiguration', 'ServerConfiguration'],
  './middleware.js': ['setHeaderMiddleware'],
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { 'bundle-only': { type: 'boolean', default: false } } })
  const startedAt = performance.now()
  await writeBundle(BUNDLE)
  console.log(`dist/slimeboot.mjs: ${(statSync(BUNDLE).size / 1e6).toFixed(1)} MB in ${Math.round(performance.now() - startedAt)} ms`)
  if (!values['bundle-only']) for (const file of writeGenerated()) console.log(`${file}: changed`)
}

/** Writes the committed files that are made from the sources; returns those that were stale. */
function writeGenerated(): readonly string[] {
  const files = new Map([...deployFiles(), [FIELD_DOCS, fieldDocs()], [REASON_DOCS, reasonDocs()], [RIGHTS_DOCS, rightsDocs()]])
  const stale = [...files].filter(([file, text]) => !existsSync(file) || readFileSync(file, 'utf8') !== text)
  for (const [file, text] of stale) writeFileSync(file, text)
  return stale.map(([file]) => relative(ROOT, file))
}

/** Writes the bundle to `outfile`. Ends the process when it cannot be made; esbuild has said why. */
export async function writeBundle(outfile: string): Promise<void> {
  const { errors } = await build({
    entryPoints: [join(ROOT, 'operator', 'cli', 'main.ts')],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    minifySyntax: true,
    // Error classes keep their names in logs.
    keepNames: true,
    banner: { js: BANNER },
    legalComments: 'external',
    plugins: [embeddedAssets(), withoutUnusedCode(), httpByRequire()],
    logLevel: 'warning',
  }).catch((failure: BuildFailure) => failure) // Already printed.
  if (errors.length > 0) process.exit(1)
  chmodSync(outfile, 0o755)
}

/** Leaves them out. Should one be used all the same, it says so. */
function withoutUnusedCode(): Plugin {
  return {
    name: 'without-unused-code',
    setup: (bundler) => {
      bundler.onResolve({ filter: /./ }, ({ path, importer }) =>
        UNUSED[path] !== undefined && /client-node[/\\]dist[/\\]config\.js$/.test(importer) ? { path, namespace: 'unused' } : undefined,
      )
      bundler.onLoad({ filter: /./, namespace: 'unused' }, ({ path }) => ({
        contents: (UNUSED[path] ?? [])
          .map((name) => `export function ${name}() { throw new Error('${name} of ${path} is not in this bundle (tools/build.ts)') }`)
          .join('\n'),
      }))
    },
  }
}

/** `import 'node:http'` evaluates all its exports, and WebSocket among them loads undici: 40 ms and 3 MiB. A require does not. */
function httpByRequire(): Plugin {
  return {
    name: 'http-by-require',
    setup: (bundler) => {
      bundler.onResolve({ filter: /^(node:)?http$/ }, ({ kind }) =>
        kind === 'import-statement' ? { path: 'http', namespace: 'by-require' } : undefined,
      )
      bundler.onLoad({ filter: /./, namespace: 'by-require' }, () => ({ contents: `module.exports = require('node:http')` }))
    },
  }
}

/** Replaces operator/assets.ts, which reads a checkout, by a module that has the same files as text. */
function embeddedAssets(): Plugin {
  return {
    name: 'embedded-assets',
    setup: (bundler) => {
      bundler.onLoad({ filter: /[/\\]operator[/\\]assets\.ts$/ }, () => {
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
