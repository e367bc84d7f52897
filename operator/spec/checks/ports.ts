/** Checks on wormhole ports and dispatches. */
import { isJsonObject, type Json } from '../../../runtime/object.ts'
import { dispatchCluster } from '../dispatch-cluster.ts'
import { parsePortEntry, portEntries } from '../../../module/ports.ts'
import { valueAt } from '../../../module/setting.ts'
import { dispatchesOf, portNumbersOf, portsOf } from '../modules.ts'
import { problem, type Problem, show } from '../problems.ts'
import { isProxyPort, PROXY_PORTS } from '../proxy-ports.ts'
import { at, listAt } from '../../../module/read.ts'
import type { CheckInput } from './check.ts'

export function wormholePorts({ modules, mode, shape }: CheckInput): Problem[] {
  return modules.flatMap(({ path, module }) => {
    const written = valueAt(module, portsOf(module).path)
    if (written !== undefined && portEntries(written) === undefined)
      return [
        problem(
          `${path}.${portsOf(module).path}`,
          `must be auto or a list of ports, got ${show(written)}. Write each entry on a line of its own that starts with "- ".`,
        ),
      ]
    return portsOf(module).entries.flatMap((value, index) => {
      const place = `${path}.${portsOf(module).path}[${index}]`
      const port = parsePortEntry(value)
      if (port === undefined)
        return [
          problem(place, `must be a port from 1 to 65535, got ${show(value)}. Write the number of a Service port, for example "9080".`),
        ]
      const reserved = shape === 'stock' && mode !== 'none' && typeof port === 'number' && isProxyPort(port)
      return reserved
        ? [problem(place, `must not be from ${PROXY_PORTS.first} to ${PROXY_PORTS.last}, which the proxy uses itself, got ${show(value)}.`)]
        : []
    })
  })
}

export function dispatches({ modules, spec }: CheckInput): Problem[] {
  return modules.flatMap(({ path, module }) =>
    dispatchesOf(module).entries.flatMap((dispatch, index) =>
      isJsonObject(dispatch) ? dispatchProblems(dispatch, `${path}.${dispatchesOf(module).path}[${index}]`, spec) : [],
    ),
  )
}

function dispatchProblems(dispatch: Json, path: string, spec: CheckInput['spec']): readonly Problem[] {
  const name = at(dispatch, 'name')
  const domains = listAt(dispatch, 'domains')
  const cluster = at(dispatch, 'cluster')
  const regex = at(dispatch, 'domainRegex')
  return [
    ...(name === undefined || name === '' ? [problem(`${path}.name`, 'is required. Write a name for this group of hosts.')] : []),
    ...(isMeshHostName(name)
      ? [
          problem(
            `${path}.name`,
            `must not be the name of one of Istio's own virtual hosts, got ${show(name)}: the global-sidecar would lose that host. Write a word without a colon, for example "external".`,
          ),
        ]
      : []),
    ...(domains.length === 0 && regex === undefined
      ? [problem(`${path}.domains`, 'is required. List the hosts, for example "*.example.com".')]
      : []),
    ...domains.flatMap((domain, index) => domainProblems(domain, `${path}.domains[${index}]`)),
    ...(typeof regex === 'string' && !isRe2(regex)
      ? [
          problem(
            `${path}.domainRegex`,
            `must be a regular expression of RE2 (https://github.com/google/re2/wiki/Syntax), at most ${LONGEST_REGEX} characters, got ${show(regex)}. Envoy would refuse the whole route configuration.`,
          ),
        ]
      : []),
    ...(typeof cluster === 'string' ? dispatchCluster(cluster, `${path}.cluster`, spec).problems : []),
    ...(cluster === undefined
      ? [problem(`${path}.cluster`, 'is required. Write an Istio cluster, PassthroughCluster or _GLOBAL_SIDECAR.')]
      : []),
  ]
}

const LONGEST_REGEX = 500

/** What JavaScript can read, but for what RE2 cannot: looking around and back. */
function isRe2(text: string): boolean {
  if (text === '') return true
  if (text.length > LONGEST_REGEX || /\(\?(?:[=!]|<[=!])|\\[1-9]|\\k</.test(text)) return false
  try {
    void new RegExp(text.replaceAll('(?P<', '(?<').replace(/^\(\?[imsU]+\)/, ''))
    return true
  } catch {
    return false
  }
}

/** istiod names its virtual hosts `host:port`, and the one for unknown hosts `allow_any` or `block_all`. */
function isMeshHostName(name: Json | undefined): boolean {
  return typeof name === 'string' && (name.includes(':') || name === 'allow_any' || name === 'block_all')
}

/** Envoy's virtual host domains: exact, `*.suffix` or `*-suffix`, `prefix.*` or `prefix-*`, `*`. */
function domainProblems(domain: Json, path: string): Problem[] {
  if (typeof domain !== 'string') return []
  const wildcardInside = domain.slice(1, -1).includes('*') || (domain.length > 1 && domain.startsWith('*') && domain.endsWith('*'))
  if (domain !== '' && !wildcardInside && !/[\s\p{Cc}/]/u.test(domain)) return []
  return [problem(path, `must be a host, "*.suffix", "prefix.*" or "*", got ${show(domain)}.`)]
}

/** Envoy refuses the whole route config when a domain stands in it twice, whatever the case of its letters. */
export function repeatedDomains({ modules, mode, facts }: CheckInput): Problem[] {
  if (mode === 'none') return []
  const problems = new Map<string, Problem>()
  const firstByPort = new Map<number, Map<string, string>>()
  for (const { path, module } of modules) {
    const domains = dispatchesOf(module).entries.flatMap((dispatch, index) =>
      placedDomains(dispatch, `${path}.${dispatchesOf(module).path}[${index}]`),
    )
    for (const port of portNumbersOf(module, facts.foundPorts)) {
      const first = firstByPort.get(port) ?? new Map<string, string>()
      firstByPort.set(port, first)
      for (const { domain, place } of domains) {
        const earlier = first.get(domain.toLowerCase())
        if (earlier === undefined) first.set(domain.toLowerCase(), place)
        else if (!problems.has(place))
          problems.set(
            place,
            problem(
              place,
              `is ${show(domain)}, which ${earlier} has for port ${port} too. Remove one of them: Envoy refuses a domain that stands twice.`,
            ),
          )
      }
    }
  }
  return [...problems.values()]
}

function placedDomains(dispatch: Json, path: string): { domain: string; place: string }[] {
  return listAt(dispatch, 'domains').flatMap((domain, index) =>
    typeof domain === 'string' ? [{ domain, place: `${path}.domains[${index}]` }] : [],
  )
}
