/** The chart of docs/performance.svg: one group of bars per benchmark, each with a scale of its own. */
import { short } from './numbers.ts'
import type { Bar } from './report.ts'

const WIDTH = 760
const LABELS = 190
const VALUES = 150
const BAR = 18
const GAP = 6
const GROUP_GAP = 26
const TITLE = 24
const COLORS: Readonly<Record<string, string>> = { floor: '#9aa5b1', slimeboot: '#2b6cb0' }
const OTHER = '#c05621'

/** SVG text. Less is better in every group. */
export function chartOf(groups: readonly Bar[]): string {
  const parts: string[] = []
  let y = 16
  for (const { group, unit, bars } of groups) {
    const most = Math.max(...bars.map(({ value }) => value))
    parts.push(text(16, y + 12, `${group} (${unit}, less is better)`, 'title'))
    y += TITLE
    for (const { name, value } of bars) {
      const width = Math.max(2, ((WIDTH - LABELS - VALUES) * value) / most)
      parts.push(
        text(LABELS - 8, y + 13, name, 'name'),
        `<rect x="${LABELS}" y="${y}" width="${width.toFixed(1)}" height="${BAR}" rx="2" fill="${COLORS[name] ?? OTHER}"/>`,
        text(LABELS + width + 8, y + 13, `${short(value)} ${unit}`, 'value'),
      )
      y += BAR + GAP
    }
    y += GROUP_GAP - GAP
  }
  const style = `text { font: 13px system-ui, sans-serif; fill: #1a202c } .title { font-weight: 600 } .name { text-anchor: end }`
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y}" width="${WIDTH}" height="${y}" role="img" aria-label="Benchmarks">`,
    `<style>${style}</style>`,
    `<rect width="${WIDTH}" height="${y}" fill="#ffffff"/>`,
    ...parts,
    '</svg>\n',
  ].join('\n')
}

function text(x: number, y: number, content: string, style: string): string {
  const escaped = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
  return `<text x="${x.toFixed(1)}" y="${y}" class="${style}">${escaped}</text>`
}
