import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readProof, proofTimes } from '../../vault/proof/proofs';
import { keyFileProvider, parseKeyFile } from '../../vault/keys/key-providers';
import { openFolderStore } from '../../vault/store/folder-store';
import { openVault } from '../../vault/vault';
import { type BackupReport, CliHome, MIB, noise, Running } from './cli-home';

interface Scrubbed { readonly ok: boolean; readonly recoveryPoints: readonly { readonly id: string; readonly state: string }[]; readonly itemsLeft: number; readonly plainBytes: number }

const WINDOW = 64 * MIB;

describe('a scrub whose process is killed', () => {
  let home: CliHome;
  beforeEach(async () => { home = await CliHome.make(); });
  afterEach(() => home.remove());

  for (const spoiled of [false, true]) {
    it(`45: after kill -9 in the middle of a read what was read is proved and nothing else, and the next scrub goes on behind it${spoiled ? ', and finds what is damaged there' : ''}`, async () => {
      const { keyFile } = await home.init();
      const disk = Buffer.alloc(4 * WINDOW);
      for (let window = 0; window < 4; window++) noise(MIB, window + 1).copy(disk, window * WINDOW);
      const { recoveryPoint } = await home.json<BackupReport>(['backup', await home.image('web.img', disk), '--item', 'web', '--threads', '1']);
      const scrub = new Running(spawn(process.execPath, [join(__dirname, '..', 'support', 'stalled-scrub.js'), home.vault, keyFile, 'web', '2'], { stdio: ['ignore', 'pipe', 'pipe'] }));
      let said = '';
      scrub.child.stdout?.on('data', (part: Buffer) => { said += part.toString(); });
      await scrub.until('it stalled in the third window', () => said.includes('stalled'));
      scrub.child.kill('SIGKILL');
      assert.equal((await scrub.ended).signal, 'SIGKILL');

      const store = await openFolderStore(home.vault, { create: false });
      const vault = await openVault(store, keyFileProvider(parseKeyFile(await readFile(keyFile, 'utf8'), keyFile)));
      const times = (await proofTimes(vault)).get(recoveryPoint);
      assert.deepEqual([times?.finishedMs, times?.partsMs.length], [[], 2]);
      assert.deepEqual((await readProof(vault, recoveryPoint, times?.partsMs.at(-1) ?? 0, true))?.cursor, { disk: 0, window: 2 }, 'nothing is called proved that was not read');
      await store.close();

      if (spoiled) {
        const [pack = ''] = await home.objects('packs/data');
        const bytes = await readFile(pack);
        // The last chunk of the pack is of the last window, and the footer behind it is smaller than this.
        bytes.writeUInt8(bytes.readUInt8(bytes.length - 32_768) ^ 1, bytes.length - 32_768);
        await chmod(pack, 0o600);
        await writeFile(pack, bytes);
      }
      const { code, stdout, stderr } = await home.run(['scrub', '--all', '--json']);
      assert.equal(code, spoiled ? 4 : 0, stderr);
      const report = JSON.parse(stdout.toString()) as Scrubbed;
      assert.deepEqual([report.ok, report.recoveryPoints.map(({ id, state }) => [id, state]), report.itemsLeft], [!spoiled, [[recoveryPoint, spoiled ? 'damaged' : 'whole']], 0]);
      assert.ok(report.plainBytes <= 2 * MIB && report.plainBytes > MIB, `it read ${report.plainBytes}: the two windows that were left`);
    });
  }
});
