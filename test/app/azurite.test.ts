import assert from 'node:assert/strict';
import { startAzurite } from '../support/azurite';
import { addVm, halfDisk, type Home, noise, readImage, startHome, writeDisk } from '../support/home';

describe('the whole path with a vault on a real blob service (Azurite)', () => {
  let home: Home | undefined;
  afterEach(() => home?.dispose());

  it('backs up over HTTP, first whole and then the change, and restores both bit-identical', async () => {
    const azurite = await startAzurite();
    home = await startHome((folder) => addVm(folder, 'web01', { os: halfDisk(4, 1), data: noise(1024 * 1024, 2) }), { store: { kind: 'blob', containerUrl: azurite.newContainerUrl() } });
    const images = [await readImage(home, 'web01', 'os')];
    const first = await home.backUp('web01');
    assert.equal(first.state, 'succeeded', JSON.stringify(first.error));
    await writeDisk(home, 'web01', 'os', noise(8192, 3), 1024 * 1024);
    images.push(await readImage(home, 'web01', 'os'));
    const second = await home.backUp('web01');
    assert.equal(second.state, 'succeeded', JSON.stringify(second.error));
    assert.ok((second.figures?.storedBytes ?? Infinity) < 1024 * 1024);
    for (const [index, job] of [first, second].entries()) {
      assert.ok((await home.restore(job.recoveryPoint ?? '', 'web01_os')).equals(images[index] as Buffer));
      assert.ok((await home.restore(job.recoveryPoint ?? '', 'web01_data')).equals(await readImage(home, 'web01', 'data')));
    }
    const put = await home.json('/api/policies/nightly', { method: 'PUT', body: JSON.stringify({ schedule: { daily: { at: ['02:00'] } }, items: { all: true } }) });
    assert.equal(put.status, 201, put.text);
    await home.assertClean(1);
  });
});
