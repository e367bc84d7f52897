/**
 * The image of this version in samples, README and tutorial: `docker.io/slimeio/slime-lazyload`, the tutorial's name for what `spec.image` runs,
 * under which the one image of the Dockerfile is pushed too. `npm run build` writes the tag; a test fails when it is stale.
 */
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { VERSION } from '../operator/version.ts'

const ROOT = join(import.meta.dirname, '..')
const FILES = ['samples/slimeboot_*.yaml', 'README*.md', 'docs/tutorial*.md', 'docs/install.md']
const IMAGE = /(repository: docker\.io\/slimeio\/slime-lazyload\n\s+tag: )\S+/g
/** Where a release is named. */
const RELEASE = /(custom_tag_or_commit=|✔ Release |slime-io\/lazyload\/|lazyload\.sh\)" )v\d[\d.]*/g

/** Path to text, for every file that names the image. */
export function imageTagFiles(): ReadonlyMap<string, string> {
  return new Map(
    globSync(FILES, { cwd: ROOT })
      .map((file) => [join(ROOT, file), readFileSync(join(ROOT, file), 'utf8')] as const)
      .filter(([, text]) => [IMAGE, RELEASE].some((pattern) => text.match(pattern) !== null))
      .map(([file, text]) => [file, text.replace(IMAGE, `$1v${VERSION}`).replace(RELEASE, `$1v${VERSION}`)]),
  )
}
