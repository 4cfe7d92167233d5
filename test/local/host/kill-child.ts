/**
 * A host in a process of its own, to be killed: `node kill-child.js <state folder> <effects file>`. Writes a line to the
 * effects file for every activity that took effect, and prints the result when the orchestration is complete.
 */
import { createHost } from '../../../local/host/host';
import * as df from 'durable-functions';
import type { OrchestrationHandler } from 'durable-functions';
import { appendFileSync } from 'node:fs';

const [stateFolder = '', effectsFile = ''] = process.argv.slice(2);

function load(): void {
  df.app.activity('effect', {
    handler: async (name: string) => {
      appendFileSync(effectsFile, `${name}\n`);
      process.stdout.write(`effect ${name}\n`);
      // Long enough for a kill to find it running; nothing waits for it but the host.
      await new Promise((resolve) => setTimeout(resolve, 20));
      return name.toUpperCase();
    },
  });
  df.app.orchestration('parent', function* (c) {
    const out: unknown[] = [yield c.df.callActivity('effect', 'first')];
    yield c.df.createTimer(new Date(c.df.currentUtcDateTime.getTime() + 30));
    out.push(yield c.df.Task.all(['a', 'b', 'c', 'd'].map((name) => c.df.callActivity('effect', name))));
    out.push(yield c.df.callSubOrchestrator('child', 'kid', 'the-child'));
    out.push(yield c.df.waitForExternalEvent('go'));
    out.push(yield c.df.callActivity('effect', 'last'));
    return out;
  } as OrchestrationHandler);
  df.app.orchestration('child', function* (c) {
    yield c.df.createTimer(new Date(c.df.currentUtcDateTime.getTime() + 30));
    return yield c.df.callActivity('effect', c.df.getInput());
  } as OrchestrationHandler);
}

async function main(): Promise<void> {
  const host = await createHost({ stateFolder, load });
  await host.start();
  if (!host.client.find('the-one')) {
    host.client.startNew('parent', { instanceId: 'the-one' });
    host.client.raiseEvent('the-one', 'go', 'went');
  }
  const status = await host.waitFor('the-one', { timeoutMs: 30_000 });
  process.stdout.write(`completed ${JSON.stringify(status.output)}\n`);
  await host.stop();
}

void main();
