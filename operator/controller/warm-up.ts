/** Warm-up: renders a sample while the process waits for the Lease, so that the first SlimeBoot need not wait for schema, templates and code to be compiled. */
import { load } from 'js-yaml'
import type { KubeObject } from '../../runtime/object.ts'
import { readAssets } from '../assets.ts'
import { compile } from './compile.ts'

const SAMPLE = 'slimeboot_lazyload_accesslog.yaml'

/** Synchronous, some 100 ms; nothing but memory in V8 comes of it. */
export function warmUp(): void {
  const text = readAssets('samples').get(SAMPLE)
  if (text !== undefined) compile(load(text) as KubeObject)
}
