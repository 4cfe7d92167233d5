// Loaded by mocha beside the tests: listens to all that they ask of Azure, and holds it against test/fixtures/arm-calls.json in the end.
import { subscribe } from 'node:diagnostics_channel';
import { globSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { RootHookObject, Suite } from 'mocha';
import { trafficChannel, type Traffic } from '../../local/azure/calls';
import { storeChannel, type StoreUse } from '../support/traffic';
import { type Call, CallList, sentChannel, sentOf } from './calls';
import { extended, notInList, notSeen, textOf } from './compare';
import { callsPath, readCalls, rightsPath, rightsText } from './fixtures';
import { rightsOf } from './rights';

const list = new CallList();
subscribe(trafficChannel.name, (message) => list.addArm(message as Traffic));
subscribe(storeChannel.name, (message) => list.addStoreUse(message as StoreUse));
subscribe(sentChannel, (message) => list.addSent(sentOf(message)));

/** Why the list cannot be held to be whole: something that asks may not have run. Undefined when every test ran and passed. */
function whyPartial(root: Suite): string | undefined {
  const loaded = new Set<string>();
  const open: string[] = [];
  const visit = (suite: Suite): void => {
    if (suite.file !== undefined) loaded.add(resolve(suite.file));
    for (const test of suite.tests) if (!test.isPassed()) open.push(test.fullTitle());
    suite.suites.forEach(visit);
  };
  visit(root);
  const files = globSync(join(__dirname, '..', '**', '*.test.js')).filter((file) => !loaded.has(resolve(file)));
  if (files.length > 0) return `${files.length} files of tests did not run`;
  return open.length > 0 ? `${open.length} tests did not run or did not pass, for instance "${open[0]}"` : undefined;
}

export const mochaHooks: RootHookObject = {
  afterAll(this: Mocha.Context) {
    const root = this.test?.parent?.root ? this.test.parent : undefined;
    const partial = root ? whyPartial(root) : 'the tests are not to be found';
    const seen = list.all();
    if (process.env['HOLDFAST_ARM_RECORD'] === '1') {
      const now: readonly Call[] = partial === undefined ? seen : extended(readCalls(), seen);
      writeFileSync(callsPath, textOf(now));
      writeFileSync(rightsPath, rightsText(rightsOf(now)));
      console.log(`  ${callsPath}: ${now.length} calls${partial === undefined ? '' : `; what nothing asks for any more was left in it, since ${partial}`}`);
      return;
    }
    const listed = readCalls();
    const wrong = notInList(seen, listed);
    if (partial === undefined) wrong.push(...notSeen(seen, listed));
    else if (seen.length > 0) console.log(`  Not looked for: calls of the list that nothing makes any more, since ${partial}.`);
    if (wrong.length > 0) throw new Error(`What the tests asked of Azure is not what test/fixtures/arm-calls.json has (if it is right: npm run arm:record):\n  ${wrong.join('\n  ')}`);
  },
};
