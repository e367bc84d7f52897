/** `slimeboot`: the command line. */
import { Command } from 'commander'
import { messageOf } from '../../runtime/errors.ts'
import { VERSION } from '../version.ts'
import { convertCommand } from './convert.ts'
import { diffCommand } from './diff.ts'
import { preflightCommand } from './preflight.ts'
import { pruneOrphansCommand } from './prune-orphans.ts'
import { runCommand } from './run.ts'
import { statusCommand } from './status.ts'
import { templateCommand } from './template.ts'

const program = new Command('slimeboot')
  .description('Installs Slime lazyload from one SlimeBoot resource: the operator, and the same work from a terminal.')
  .version(VERSION)
  .showHelpAfterError('(see --help)')
  .addCommand(templateCommand())
  .addCommand(convertCommand())
  .addCommand(diffCommand())
  .addCommand(preflightCommand())
  .addCommand(statusCommand())
  .addCommand(runCommand())
  .addCommand(pruneOrphansCommand())

try {
  await program.parseAsync()
} catch (error) {
  process.stderr.write(`slimeboot: ${messageOf(error)}\n`)
  process.exitCode ??= 1
}
