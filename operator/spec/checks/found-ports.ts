/** What `wormholePort: auto` does not serve, and why. */
import { findsPorts, portNumbersOf, portsOf } from '../modules.ts'
import { warning, type Warning } from '../problems.ts'
import type { CheckInput } from './check.ts'

const LISTED = 10

export function foundPorts({ modules, mode, facts }: CheckInput): Warning[] {
  const first = modules.find(({ module }) => findsPorts(module))
  if (mode === 'none' || first === undefined) return []
  const path = `${first.path}.${portsOf(first.module).path}`
  const { foundPorts: found, portConflicts = [], portsLeftOut = [], portsUnseen = false } = facts
  const served = new Set(modules.flatMap(({ module }) => portNumbersOf(module, found)))
  const conflicts = portConflicts.filter(({ port }) => !served.has(port) && !modules.every(({ module }) => excludes(module, port)))
  return [
    ...conflicts
      .slice(0, LISTED)
      .map(({ port, http, tcp }) =>
        warning(
          'PortConflict',
          path,
          `does not serve port ${port}: ${http.join(', ')} speak HTTP there, ${tcp.join(', ')} TCP or TLS. Give one of them another port, or leave it out with "-${port}".`,
        ),
      ),
    ...(conflicts.length > LISTED
      ? [warning('PortConflict', path, `does not serve ${conflicts.length - LISTED} more ports, on which some Services speak TCP or TLS.`)]
      : []),
    ...(portsLeftOut.length === 0
      ? []
      : [
          warning(
            'PortsLeftOut',
            path,
            `does not serve ${portsLeftOut.length} ports, because there are too many: ${portsLeftOut.slice(0, LISTED).join(', ')}. Write those that matter beside auto.`,
          ),
        ]),
    ...(portsUnseen
      ? [
          warning(
            'PortsUnseen',
            path,
            'cannot see ports that come and go, because Services or Namespaces may not be watched: what was found before stays. Grant "list" and "watch" on both to the operator.',
          ),
        ]
      : []),
    ...(found === undefined
      ? [
          warning(
            'NoPorts',
            path,
            'takes its ports from the Services of the cluster, which are not known here: only ports that are listed are shown.',
          ),
        ]
      : served.size === 0
        ? [
            warning(
              'NoPorts',
              path,
              'has found no port, so no global-sidecar is installed: no Service of the mesh has an HTTP port that none uses for TCP.',
            ),
          ]
        : []),
  ]
}

function excludes(module: CheckInput['modules'][number]['module'], port: number): boolean {
  return !portNumbersOf(module, [{ port }]).includes(port)
}
