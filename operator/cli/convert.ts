/** `slimeboot convert`: a SlimeBoot of another generation as one would write it today. */
import { Command } from 'commander'
import { dump } from 'js-yaml'
import { isJsonObject, keyOf, type KubeObject } from '../../runtime/object.ts'
import { convertSpec } from '../spec/convert.ts'
import { InvalidSpecError } from '../spec/errors.ts'
import { validate } from '../spec/validate.ts'
import { fileOption, namespaceOption, readBoots } from './boots.ts'

const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration'

export function convertCommand(): Command {
  return new Command('convert')
    .description('print a SlimeBoot of the tutorial, or of upstream v0.3 to v0.9, as one would write it today; no cluster is contacted')
    .addOption(fileOption())
    .addOption(namespaceOption())
    .addHelpText(
      'after',
      '\nExamples:\n  slimeboot convert -f boot.yaml > new.yaml\n  kubectl get sb -n mesh-operator lazyload -o yaml | slimeboot convert -f -\n\nComments say what has changed. It installs the same as before; "slimeboot diff -f new.yaml" shows that.\nExit code 1 and the list of all errors on standard error when the spec is wrong.',
    )
    .action(async ({ filename, namespace }: { readonly filename: string; readonly namespace: string }) => {
      const boots = await readBoots(filename, namespace)
      process.stdout.write(boots.map(convert).join('---\n'))
    })
}

function convert(boot: KubeObject): string {
  const { errors } = validate(boot)
  if (errors.length > 0) throw new InvalidSpecError(errors)
  const { spec, changes } = convertSpec(isJsonObject(boot['spec']) ? boot['spec'] : {})
  const { name, namespace, labels, annotations = {} } = boot.metadata
  const { [LAST_APPLIED]: _, ...ours } = annotations
  const metadata = {
    name,
    ...(namespace === undefined ? {} : { namespace }),
    ...(labels === undefined ? {} : { labels }),
    ...(Object.keys(ours).length === 0 ? {} : { annotations: ours }),
  }
  const heading = changes.length === 0 ? ['Nothing to change.'] : changes
  return [
    `# ${keyOf(boot)}`,
    ...heading.map((line) => `# ${line}`),
    dump({ apiVersion: boot.apiVersion, kind: boot.kind, metadata, spec }, { lineWidth: -1, noRefs: true }),
  ].join('\n')
}
