/** Text for terminals: colours where there is one, trees, ages. */

const COLOURS = { red: 31, green: 32, yellow: 33, dim: 2, bold: 1 } as const

/** `text` in a colour when standard output is a terminal and NO_COLOR is not set (https://no-color.org). */
export function colour(name: keyof typeof COLOURS, text: string): string {
  return process.stdout.isTTY && process.env['NO_COLOR'] === undefined ? `\x1b[${COLOURS[name]}m${text}\x1b[0m` : text
}

export interface TreeLine {
  /** Namespace, or empty for a cluster-scoped object. */
  readonly group: string
  readonly text: string
}

/** Lines grouped by namespace and drawn as a tree. */
export function treeOf(lines: readonly TreeLine[]): readonly string[] {
  const groups = [...Map.groupBy(lines, ({ group }) => group)].sort(([a], [b]) => (a < b ? -1 : 1))
  return groups.flatMap(([group, members], index) => {
    const last = index === groups.length - 1
    const inner = members.map(({ text }, at) => `${last ? '   ' : '│  '}${at === members.length - 1 ? '└─' : '├─'} ${text}`)
    return [`${last ? '└─' : '├─'} ${group === '' ? '(cluster)' : group}`, ...inner]
  })
}

/** Age as kubectl shows it: 45s, 12m, 3h, 2d. */
export function ageOf(time: string | undefined, now: number): string {
  const seconds = Math.max(0, Math.round((now - Date.parse(time ?? '')) / 1000))
  if (!Number.isFinite(seconds)) return '?'
  if (seconds < 120) return `${seconds}s`
  if (seconds < 7200) return `${Math.floor(seconds / 60)}m`
  return seconds < 172_800 ? `${Math.floor(seconds / 3600)}h` : `${Math.floor(seconds / 86_400)}d`
}

/** Rows as left-aligned columns, two spaces between. */
export function columns(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? []
  return rows.map((row) => row.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0))).join('  '))
}
