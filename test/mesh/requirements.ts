/** Programs that the tests on a mesh call; what the mesh itself needs (root, Go, Envoy, network namespaces) it says itself. */
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

const REMEDIES = {
  kubectl: 'apt-get install -y kubernetes-client, or https://kubernetes.io/docs/tasks/tools/',
  curl: 'apt-get install -y curl',
  bash: 'apt-get install -y bash',
} as const

/** Throws an Error that names each that is not in PATH, with the command that installs it. */
export function requirePrograms(programs: readonly (keyof typeof REMEDIES)[], environment: NodeJS.ProcessEnv = process.env): void {
  const folders = (environment['PATH'] ?? '').split(delimiter)
  const missing = programs.filter((program) => !folders.some((folder) => isProgram(join(folder, program))))
  if (missing.length === 0) return
  const lines = missing.map((program) => `  ${program}: ${REMEDIES[program]}`)
  throw new Error(`The tests on a mesh need programs that are not in PATH:\n${lines.join('\n')}`)
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}
