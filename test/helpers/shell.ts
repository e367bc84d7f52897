/** One shell for many commands, as a reader has it: what one exports, the next sees. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'

const MARK = '\u001e'

export interface Shell extends AsyncDisposable {
  /** Runs commands; resolves with their exit code, and standard output and error together as on a terminal. */
  readonly run: (commands: string) => Promise<{ readonly code: number; readonly output: string }>
}

/** Starts bash in `cwd` with just these variables. */
export function startShell({ cwd, env }: { readonly cwd: string; readonly env: Readonly<Record<string, string>> }): Shell {
  const child = spawn('bash', ['--norc', '--noprofile'], { cwd, env, stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const gone = once(child, 'close')
  child.stdin.write('exec 2>&1\n')
  return {
    run: async (commands) => {
      child.stdin.write(`{\n${commands}\n} </dev/null; printf '\\n${MARK}%s\\n' $?\n`)
      const output: string[] = []
      for (;;) {
        const { value, done } = await lines.next()
        if (done === true) throw new Error(`the shell has ended: ${output.join('\n')}`)
        if (value.startsWith(MARK)) return { code: Number(value.slice(MARK.length)), output: output.join('\n').trimEnd() }
        output.push(value)
      }
    },
    [Symbol.asyncDispose]: async () => {
      child.stdin.end()
      await gone
    },
  }
}
