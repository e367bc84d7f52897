/** `slimeboot template`: what a SlimeBoot becomes, without a cluster. */
import { Command, Option } from 'commander'
import { validate } from '../spec/validate.ts'
import { buildValues } from '../spec/build-values.ts'
import { InvalidSpecError } from '../spec/errors.ts'
import { manifestsToYaml, toList } from '../render/output.ts'
import { render, renderText } from '../render/render.ts'
import { readDefaults } from '../defaults-file.ts'
import { defaultsOption, fileOption, namespaceOption, printWarnings, readBoots } from './boots.ts'

interface Options {
  readonly filename: string
  readonly namespace: string
  readonly defaults?: string
  readonly output: 'yaml' | 'json'
  readonly raw?: boolean
}

export function templateCommand(): Command {
  return new Command('template')
    .description('print the manifests that a SlimeBoot becomes; no cluster is contacted')
    .addOption(fileOption())
    .addOption(namespaceOption())
    .addOption(defaultsOption())
    .addOption(
      new Option('-o, --output <format>', 'yaml: documents in the order of applying; json: one v1 List')
        .choices(['yaml', 'json'])
        .default('yaml'),
    )
    .option('--raw', 'print the text of each template before it is parsed, to find a fault in a template')
    .addHelpText(
      'after',
      '\nExamples:\n  slimeboot template -f samples/slimeboot_lazyload.yaml\n  kubectl get sb -n mesh-operator lazyload -o yaml | slimeboot template -f - -o json | jq ".items[].kind"\n\nExit code 1 and the list of all errors on standard error when the spec is wrong.',
    )
    .action(template)
}

async function template({ filename, namespace, defaults, output, raw }: Options): Promise<void> {
  const operatorDefaults = await readDefaults(defaults)
  const options = operatorDefaults === undefined ? {} : { operatorDefaults }
  const rendered = (await readBoots(filename, namespace)).map((boot) => {
    const { errors, warnings } = validate(boot, {}, options)
    printWarnings(boot, warnings)
    if (errors.length > 0) throw new InvalidSpecError(errors)
    return buildValues(boot, options)
  })
  if (raw === true) return void process.stdout.write(rendered.map(renderText).join(''))
  const manifests = rendered.flatMap(render)
  process.stdout.write(output === 'json' ? `${JSON.stringify(toList(manifests), null, 2)}\n` : manifestsToYaml(manifests))
}
