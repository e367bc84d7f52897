/**
 * `npm run build`: two programs of one file each that need nothing but Node, dist/slimeboot.mjs (the operator and the command line,
 * templates and CRDs in it) and dist/manager.mjs (the lazyload controller), and the committed files that are made from the sources,
 * in `deploy/`, `docs/`, `samples/` and `scripts/` (not with `--bundle-only`).
 */
import { build, type BuildFailure, type Plugin } from 'esbuild'
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { parseArgs } from 'node:util'
import { readAssets } from '../operator/assets.ts'
import { deployFiles } from './deploy.ts'
import { FIELD_DOCS, fieldDocs } from './field-docs.ts'
import { imageTagFiles } from './image-tags.ts'
import { LAZYLOAD_DOCS, lazyloadDocs } from './module-docs.ts'
import { REASON_DOCS, reasonDocs } from './reason-docs.ts'
import { RIGHTS_DOCS, rightsDocs } from './rights-docs.ts'
import { userScripts } from './user-scripts.ts'

const ROOT = join(import.meta.dirname, '..')
/** What ships, by file name in `dist/`: where each program starts. */
const PROGRAMS = { 'slimeboot.mjs': 'operator/cli/main.ts', 'manager.mjs': 'lazyload/main.ts' } as const

export type Program = keyof typeof PROGRAMS

export const PROGRAM_NAMES = Object.keys(PROGRAMS) as readonly Program[]

/** CommonJS dependencies call require(), which an ES module does not have. */
const BANNER = `#!/usr/bin/env node
import { createRequire as createRequireForBundle } from 'node:module'
const require = createRequireForBundle(import.meta.url)`

const CLIENT_NODE_CONFIG = /client-node[/\\]dist[/\\]config\.js$/

/**
 * Imports that only features which nothing here uses need: what is taken from each, and by whom. KubeConfig has them for its own
 * HTTP calls (ours go through runtime/transport.ts): half of the bundle, and 14 MiB of memory at rest. gRPC has them for channelz.
 */
const UNUSED: Readonly<Record<string, { readonly by: RegExp; readonly names: readonly string[] }>> = {
  undici: { by: CLIENT_NODE_CONFIG, names: ['Agent', 'ProxyAgent'] },
  socks: { by: CLIENT_NODE_CONFIG, names: ['SocksClient'] },
  './gen/index.js': { by: CLIENT_NODE_CONFIG, names: ['createConfiguration', 'ServerConfiguration'] },
  './middleware.js': { by: CLIENT_NODE_CONFIG, names: ['setHeaderMiddleware'] },
  '@grpc/proto-loader': { by: /grpc-js[/\\]build[/\\]src[/\\]\w+\.js$/, names: ['loadSync'] },
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { 'bundle-only': { type: 'boolean', default: false } } })
  for (const program of PROGRAM_NAMES) {
    const startedAt = performance.now()
    const file = join(ROOT, 'dist', program)
    await writeBundle(program, file)
    console.log(`dist/${program}: ${(statSync(file).size / 1e6).toFixed(1)} MB in ${Math.round(performance.now() - startedAt)} ms`)
  }
  if (!values['bundle-only']) for (const file of writeGenerated()) console.log(`${file}: changed`)
}

/** Writes the committed files that are made from the sources; returns those that were stale. */
function writeGenerated(): readonly string[] {
  const files = new Map([
    ...deployFiles(),
    ...imageTagFiles(),
    ...userScripts(),
    [FIELD_DOCS, fieldDocs()],
    [LAZYLOAD_DOCS, lazyloadDocs()],
    [REASON_DOCS, reasonDocs()],
    [RIGHTS_DOCS, rightsDocs()],
  ])
  const stale = [...files].filter(([file, text]) => !existsSync(file) || readFileSync(file, 'utf8') !== text)
  for (const [file, text] of stale) writeFileSync(file, text)
  return stale.map(([file]) => relative(ROOT, file))
}

/** Writes the bundle of a program to `outfile`. Ends the process when it cannot be made; esbuild has said why. */
export async function writeBundle(program: Program, outfile: string): Promise<void> {
  const { errors } = await build({
    entryPoints: [join(ROOT, PROGRAMS[program])],
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
        UNUSED[path]?.by.test(importer) === true ? { path, namespace: 'unused' } : undefined,
      )
      bundler.onLoad({ filter: /./, namespace: 'unused' }, ({ path }) => ({
        contents: (UNUSED[path]?.names ?? [])
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
