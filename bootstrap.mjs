#!/usr/bin/env node
/**
 * Runs a command of this checkout with everything it needs: `node bootstrap.mjs COMMAND [ARGS]`, or `npm run COMMAND`.
 * Plain JavaScript for Node 18 and newer that needs nothing installed: it installs the locked dependencies when they are missing
 * or outdated, then hands over to Node 24, which is one of them and runs the TypeScript sources as they are.
 */
import { ensureDependencies } from './local-cluster/setup/dependencies.mjs'
import { runWithPinnedNode } from './local-cluster/setup/pinned-node.mjs'

/** @type {Record<string, { script: string, about: string }>} */
const COMMANDS = {
  demo: {
    script: 'tools/demo.ts',
    about: 'shows lazyload on a local cluster, from its installation to its removal (--once: without a pause)',
  },
  cluster: { script: 'local-cluster/keep.ts', about: 'keeps a local cluster up until Ctrl-C' },
  test: { script: 'tools/test.ts', about: 'runs all tests, or the files that are named' },
  'test:long': { script: 'tools/test.ts', about: 'the same with every moment of a kill and 10,000 generated SlimeBoots' },
  'test:mesh': { script: 'tools/test.ts', about: 'the tutorial on a real mesh: istiod, Envoys, injection (Linux, root)' },
  soak: { script: 'test/soak/main.ts', about: 'half an hour of changes and faults; nothing may grow (soak -- --minutes 3)' },
  slimeboot: { script: 'operator/cli/main.ts', about: 'the command line, from the sources' },
  bench: { script: 'bench/main.ts', about: 'measures against a bare client and the Helm operator (bench -- --help)' },
  build: { script: 'tools/build.ts', about: 'makes dist/slimeboot.mjs, the one file that ships' },
  check: { script: 'tools/check.ts', about: 'format, lint, types, unused code' },
}

const [name = '', ...args] = process.argv.slice(2)
const command = COMMANDS[name]
if (command === undefined) {
  const lines = Object.entries(COMMANDS).map(([key, { about }]) => `  ${key.padEnd(10)} ${about}`)
  console.error(`Usage: node bootstrap.mjs COMMAND [ARGS]\n\n${lines.join('\n')}`)
  process.exit(2)
}
if (name === 'test:long') process.env['SLIMEBOOT_LONG'] = '1'
if (name === 'test:mesh') process.env['SLIMEBOOT_MESH'] = '1'
try {
  await ensureDependencies()
  process.exitCode = await runWithPinnedNode(command.script, args)
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}
