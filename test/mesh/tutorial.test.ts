/** docs/tutorial.md, command by command, on a real mesh; both languages have the same commands (../unit/tutorial.test.ts). */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { eventually } from '../helpers/eventually.ts'
import { prints, readTutorial, type Step, TUTORIALS } from '../helpers/tutorial.ts'
import { setTutorialStage, type TutorialStage } from './tutorial-stage.ts'

const PATIENT = { timeout: 60_000, interval: 200 }
/** What only looks may be looked at again, until it is as the tutorial says. */
const LOOKS = /^(kubectl (get|logs)|minikube ssh -- tail) /

let stage: TutorialStage
before(async () => {
  stage = await setTutorialStage()
})
after(async () => await stage?.[Symbol.asyncDispose]())

for (const [heading, steps] of Map.groupBy(readTutorial(TUTORIALS.en).steps, (step) => step.heading)) {
  test(`the commands of "${heading.replace(/^#+ /, '')}" print what the tutorial shows`, async () => {
    for (const step of steps) await follow(step)
  })
}

async function follow(step: Step): Promise<void> {
  if (step.commands.startsWith('kubectl exec ')) await eventually(async () => assert.ok(await stage.proxyFollows('productpage')), PATIENT)
  const looks = step.commands.split('\n').every((command) => LOOKS.test(command))
  if (looks) await eventually(async () => await once(step), PATIENT)
  else await once(step)
}

async function once({ commands, prints: expected, line }: Step): Promise<void> {
  const { code, output } = await stage.run(commands)
  const about = `docs/tutorial.md:${line}: ${commands}\nexit code ${code}, and it printed:\n${output}\nThe tutorial shows:\n${expected}\n`
  assert.ok(code === 0 && prints(expected, output), about)
}
