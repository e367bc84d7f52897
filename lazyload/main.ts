/** `/manager`: the lazyload controller as a process. */
import { messageOf } from '../runtime/errors.ts'
import manifest from '../package.json' with { type: 'json' }
import { createCommand } from './options.ts'
import { runLazyload } from './process.ts'

try {
  await createCommand(manifest.version, async (options) => await runLazyload(options, manifest.version)).parseAsync()
} catch (error) {
  process.stderr.write(`lazyload: ${messageOf(error)}\n`)
  process.exitCode ??= 1
}
