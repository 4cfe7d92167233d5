import assert from 'node:assert/strict';
import { readdirSync, utimesSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CollectReport } from '../../vault/points/collect';
import { OLD_MS } from '../support/vault-life';
import { noise } from '../support/vault-kit';
import { CliHome } from './cli-home';

/** Every file of the vault as old as if it had been written long ago. */
function age(vault: string): void {
  const then = (Date.now() - OLD_MS) / 1000;
  for (const entry of readdirSync(vault, { recursive: true, withFileTypes: true })) if (entry.isFile()) utimesSync(join(entry.parentPath, entry.name), then, then);
}

const filesIn = (folder: string): number => readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).length;

describe('holdfast collect', () => {
  it('says what would go, deletes just that, and refuses in doubt', async () => {
    const home = await CliHome.make();
    try {
      await home.init();
      await writeFile(home.file('disk.img'), noise(1 << 20, 1));
      await home.json(['backup', home.file('disk.img')]);
      const young = await home.json<CollectReport>(['collect']);
      assert.deepEqual([young.deleted.packs, young.recoveryPoints], [0, { items: 1, live: 1, binned: 0 }]);
      const packs = join(home.vault, 'packs');
      const needed = filesIn(packs);
      // What a run leaves that died without a trace.
      const orphan = join(packs, 'data', readdirSync(join(packs, 'data'))[0] as string);
      await writeFile(join(orphan, `${orphan.slice(-2)}${'0'.repeat(30)}`), 'x');
      age(home.vault);
      const before = filesIn(home.vault);
      const plan = await home.json<CollectReport>(['collect', '--dry-run']);
      assert.deepEqual([plan.dryRun, plan.plan.unneeded, plan.plan.unexplained.packs, plan.deleted.packs], [true, { packs: 1, bytes: 1 }, 1, 0]);
      assert.equal(filesIn(home.vault), before);
      const said = await home.run(['collect']);
      assert.match(said.stdout.toString(), /deleted: 1 packs, 1 B/);
      assert.equal(filesIn(packs), needed);
      await home.json(['check']);
      await home.fails(['collect', '--approve', 'yes'], 'REQUEST_INVALID', 2);
      await rm(join(home.vault, 'recovery-points'), { recursive: true });
      await home.fails(['collect'], 'COLLECTION_REFUSED', 4);
      assert.equal(filesIn(packs), needed);
    } finally {
      await home.remove();
    }
  });
});
