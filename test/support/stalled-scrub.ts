// A process that scrubs an item, a window at a step, and stops for ever in the middle of a read: STEPS steps end, the next one reads a chunk and waits for it. Says so on its output, and is there to be killed.
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { keyFileProvider, parseKeyFile } from '../../vault/keys/key-providers';
import { roundStartMs, scrubStep } from '../../vault/proof/scrub';
import { openFolderStore } from '../../vault/store/folder-store';
import { withLanes } from '../../vault/transfer/lanes';
import { openVault } from '../../vault/vault';
import { homeStores } from './home-transfer-factory';

async function main(folder: string, keyFile: string, itemId: string, steps: number): Promise<void> {
  const store = await openFolderStore(folder, { create: false });
  const vault = await openVault(store, keyFileProvider(parseKeyFile(await readFile(keyFile, 'utf8'), keyFile)));
  let stalls = false;
  homeStores.set('stalled', new Proxy(store, {
    get(target, name) {
      if (name === 'read') {
        return (object: string, ...range: []): Promise<Buffer> => {
          if (!stalls || !object.startsWith('packs/data/')) return target.read(object, ...range);
          process.stdout.write('stalled\n');
          return new Promise(() => setInterval(() => undefined, 60_000));
        };
      }
      const member: unknown = Reflect.get(target, name);
      return typeof member === 'function' ? (member.bind(target) as unknown) : member;
    },
  }));
  await withLanes({ factory: path.join(__dirname, 'home-transfer-factory.js'), store: { home: 'stalled' }, keys: vault.keys, collectDamage: true, threads: 0 }, async (lanes) => {
    for (let step = 0; ; step++) {
      stalls = step === steps;
      await scrubStep(vault, lanes, { itemId, recoveryPoint: null, sinceMs: roundStartMs(Date.now(), 30), maxWindows: 1, by: 'scrub', nowMs: () => Date.now() });
    }
  });
}

if (require.main === module) void main(process.argv[2] as string, process.argv[3] as string, process.argv[4] as string, Number(process.argv[5]));
