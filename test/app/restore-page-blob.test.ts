import assert from 'node:assert/strict';
import { ContainerClient, type PageBlobClient, StorageSharedKeyCredential } from '@azure/storage-blob';
import { parseFooter } from '../../vault/format/vhd-footer';
import { type Azurite, startAzurite } from '../support/azurite';
import { createFaultStore, createHold, type FaultStore } from '../support/fault-store';
import { addVm, halfDisk, type Home, noise, readImage, startHome, writeDisk } from '../support/home';
import { ask, assertLeft, restoreAndWait, restoreJob, startRestore } from '../support/restores';

const MiB = 1024 * 1024;

describe('a restore to a page blob (Azurite)', () => {
  let azurite: Azurite;
  let container: ContainerClient;
  let home: Home;
  let store: FaultStore;
  let point: string;
  before(async () => { azurite = await startAzurite(); });
  beforeEach(async () => {
    const url = azurite.newContainerUrl();
    container = new ContainerClient(url, new StorageSharedKeyCredential(azurite.accountName, azurite.accountKey));
    await container.create();
    home = await startHome((folder) => addVm(folder, 'web01', { os: halfDisk(2, 1), data: noise(5 * MiB + 512, 2) }), { restoreContainers: [url], wrapStore: (plain) => (store = createFaultStore(plain)) });
    point = (await home.backUp('web01')).recoveryPoint ?? '';
  });
  afterEach(() => home.dispose());

  const target = (more: object = {}): object => ({ kind: 'page-blob', disk: 'web01_data', account: azurite.accountName, container: container.containerName, blob: 'data.vhd', ...more });
  const blob = (): PageBlobClient => container.getPageBlobClient('data.vhd');
  const content = async (): Promise<Buffer> => blob().downloadToBuffer();

  async function assertBlobIs(image: Buffer): Promise<void> {
    const bytes = await content();
    const parsed = parseFooter(bytes.subarray(-512));
    assert.ok('footer' in parsed && parsed.footer.currentSizeBytes === bytes.length - 512, 'it is a fixed VHD');
    assert.ok(bytes.subarray(0, image.length).equals(image));
    assert.ok(bytes.subarray(image.length, -512).every((byte) => byte === 0));
  }

  it('makes a fixed VHD, byte for byte, and refuses one that is there', async () => {
    const job = await restoreAndWait(home, point, { target: target() });
    assert.equal(job.state, 'succeeded', JSON.stringify(job));
    assert.deepEqual(job.restored?.made, [`${azurite.accountName}/${container.containerName}/data.vhd`]);
    await assertBlobIs(await readImage(home, 'web01', 'data'));
    const again = await ask(home, point, { target: target() });
    assert.deepEqual([again.status, (again.body as { code: string }).code], [409, 'TARGET_EXISTS']);
    await assertLeft(home, []);
  });

  it('writes only what differs into one that is there, clears what must be zeros, and it is no VHD before it is whole', async () => {
    const image = await readImage(home, 'web01', 'data');
    await restoreAndWait(home, point, { target: target() });
    await blob().uploadPages(noise(4096, 8), 8192, 4096);
    await blob().uploadPages(noise(512, 9), 5 * MiB + 1024, 512);
    const hold = createHold();
    store.plan({ operation: 'create', matching: /^restores\/diff\/d1\/r0000\/s0000$/, fault: { kind: 'hold', hold } });
    const id = await startRestore(home, point, { id: 'diff', target: target({ differential: true }) });
    const finished = home.host.waitFor(id, { until: 'finished' });
    await hold.reached;
    assert.ok('problem' in parseFooter((await content()).subarray(-512)), 'while it is written it has no footer');
    hold.release();
    await finished;
    const job = await restoreJob(home, id);
    assert.equal(job.state, 'succeeded', JSON.stringify(job));
    assert.ok((job.writtenBytes ?? 0) > 0 && (job.writtenBytes ?? Infinity) <= MiB, `${job.writtenBytes} written`);
    await assertBlobIs(image);
  });

  it('one that is cancelled is removed; one that was there before is left without a footer, and that is said', async () => {
    for (const differential of [false, true]) {
      if (differential) await restoreAndWait(home, point, { target: target() });
      await writeDisk(home, 'web01', 'data', noise(512, 3), 0);
      const hold = createHold();
      store.plan({ operation: 'create', matching: new RegExp(`^restores/stop-${differential}/d1/footer$`), fault: { kind: 'hold', hold } });
      const id = await startRestore(home, point, { id: `stop-${differential}`, target: target({ differential }) });
      const finished = home.host.waitFor(id, { until: 'finished' });
      await hold.reached;
      await home.json(`/api/jobs/${id}/cancel`, { method: 'POST' });
      hold.release();
      await finished;
      const job = await restoreJob(home, id);
      assert.equal(job.state, 'cancelled', JSON.stringify(job));
      assert.equal(await blob().exists(), differential);
      assert.equal(job.left.length, differential ? 1 : 0);
      if (differential) assert.match(job.left.join(), /no VHD footer until a restore of it succeeds/);
    }
  });

  it('refuses a blob that is too small, and a difference from one that is not there', async () => {
    const refused = async (more: object, status: number, code: string): Promise<void> => {
      const answer = await ask(home, point, { target: target(more) });
      assert.deepEqual([answer.status, (answer.body as { code: string }).code], [status, code], answer.text);
    };
    await refused({ differential: true }, 404, 'CLOUD_NOT_FOUND');
    await blob().create(MiB + 512);
    await refused({ differential: true }, 409, 'TARGET_TOO_SMALL');
    await refused({ container: 'other' }, 403, 'TARGET_NOT_ALLOWED');
    await refused({ blob: '../x' }, 400, 'CLOUD_ID_INVALID');
  });
});
