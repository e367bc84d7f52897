/**
 * The image of this version in samples, README and tutorial: `docker.io/slimeio/slime-lazyload`, the tutorial's name for what `spec.image` runs,
 * under which the one image of the Dockerfile is pushed too. `npm run build` writes the tag; a test fails when it is stale.
 */
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { VERSION } from '../operator/version.ts'

const ROOT = join(import.meta.dirname, '..')
const FILES = ['samples/slimeboot_*.yaml', 'README*.md', 'docs/tutorial*.md']
const IMAGE = /(repository: docker\.io\/slimeio\/slime-lazyload\n\s+tag: )\S+/g
/** Where the tutorial names a release. */
const RELEASE = /(custom_tag_or_commit=|✔ Release )v\d\S*/g

/** Path to text, for every file that names the image. */
export function imageTagFiles(): ReadonlyMap<string, string> {
  return new Map(
    globSync(FILES, { cwd: ROOT })
      .map((file) => [join(ROOT, file), readFileSync(join(ROOT, file), 'utf8')] as const)
      .filter(([, text]) => text.match(IMAGE) !== null)
      .map(([file, text]) => [file, text.replace(IMAGE, `$1v${VERSION}`).replace(RELEASE, `$1v${VERSION}`)]),
  )
}
