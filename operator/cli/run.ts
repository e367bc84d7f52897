/** `slimeboot run`: the operator as a process. */
import { Command } from 'commander'
import { configOf, type RunFlags } from '../config.ts'
import { runOperator } from '../process.ts'
import { withConfigOptions } from './run-options.ts'

export function runCommand(): Command {
  return withConfigOptions(new Command('run'))
    .description('watch SlimeBoots and make the cluster match them, until SIGTERM')
    .action(async (flags: RunFlags) => {
      await runOperator(configOf(flags))
    })
}
