import assert from 'node:assert/strict';
import type { z } from 'zod';
import type { RestoreEstimate } from '../../activities/restore-estimate';
import { planRestore } from '../../activities/restore-plan';
import { restoreBodySchema } from '../../activities/restore-request';
import { isHoldfastError } from '../../errors/holdfast-error';
import { createDocument, findDocument } from '../../vault/format/documents';
import { manifestSchema } from '../../vault/format/manifest';
import { markDeleted } from '../../vault/points/marks';
import { addVm, halfDisk, type Home, noise, startHome, writeDisk } from '../support/home';
import { ask, assertLeft, diskIdOf, restoreAndWait, vmIdOf } from '../support/restores';

const MiB = 1024 * 1024;
const OTHER = '99999999-9999-4999-8999-999999999999';

describe('what a restore refuses, before anything is made', () => {
  let home: Home;
  let point: string;
  const subnet = (): object => ({ subnetId: `/subscriptions/${home.standIn.subscriptionId}/resourceGroups/net/providers/Microsoft.Network/virtualNetworks/v/subnets/s` });

  before(async () => {
    home = await startHome(async (folder) => {
      await addVm(folder, 'web01', { os: halfDisk(2, 1), data: noise(MiB, 2) });
      await addVm(folder, 'db01', { os: halfDisk(2, 3) });
    });
    point = (await home.backUp('web01')).recoveryPoint ?? '';
  });
  after(() => home.dispose());
  afterEach(async () => {
    assert.deepEqual(home.host.client.list().filter(({ instanceId }) => instanceId.startsWith('restore')), []);
    await assertLeft(home, []);
  });

  async function refused(id: string, target: object, status: number, code: string): Promise<string> {
    const answer = await ask(home, id, { target });
    const problem = answer.body as { code: string; detail: string };
    assert.deepEqual([answer.status, problem.code], [status, code], answer.text);
    assert.match(answer.headers.get('content-type') ?? '', /problem\+json/);
    return problem.detail;
  }

  it('a recovery point that is unknown or no id, and a disk that it does not have', async () => {
    const disk = { kind: 'disk', disk: 'os', name: 'x' };
    await refused('web01-00000000.20200101T000000Z', disk, 404, 'RECOVERY_POINT_NOT_FOUND');
    await refused('nonsense', disk, 404, 'RECOVERY_POINT_NOT_FOUND');
    await refused(point, { ...disk, disk: 'other' }, 404, 'DISK_NOT_FOUND');
    await refused(point, { kind: 'disk', name: 'x' }, 400, 'DISK_AMBIGUOUS');
  });

  it('a recovery point that was deleted', async () => {
    const other = (await home.backUp('db01')).recoveryPoint ?? '';
    await markDeleted(home.vault, other, { by: 'test', serverNowMs: home.clock.now() }, { reason: 'asked', policy: null });
    await refused(other, { kind: 'disk', name: 'x' }, 410, 'RECOVERY_POINT_DELETED');
  });

  it('a target that exists: a disk, a machine, the source itself', async () => {
    assert.match(await refused(point, { kind: 'disk', disk: 'os', name: 'web01_os' }, 409, 'TARGET_EXISTS'), /web01_os already/);
    await refused(point, { kind: 'vm', name: 'db01', network: subnet() }, 409, 'TARGET_EXISTS');
    await refused(point, { kind: 'vm', name: 'web01', network: subnet() }, 409, 'TARGET_EXISTS');
  });

  it('threat 13: a subscription that is not the app\'s, in every place where one can stand', async () => {
    await refused(point, { kind: 'disk', disk: 'os', name: 'x', subscriptionId: OTHER }, 403, 'CLOUD_ACCESS_DENIED');
    await refused(point, { kind: 'in-place', vmId: vmIdOf(home, 'web01').replace(home.standIn.subscriptionId, OTHER) }, 403, 'CLOUD_ACCESS_DENIED');
    const foreign = { subnetId: `/subscriptions/${OTHER}/resourceGroups/net/providers/Microsoft.Network/virtualNetworks/v/subnets/s` };
    await refused(point, { kind: 'vm', name: 'web02', network: foreign }, 400, 'REQUEST_INVALID');
    await refused(point, { kind: 'vm', name: 'web02', network: { nicIds: [vmIdOf(home, 'db01')] } }, 400, 'REQUEST_INVALID');
    await refused(point, { kind: 'vm', name: 'web02', network: subnet(), availabilitySetId: vmIdOf(home, 'db01'), zone: null }, 400, 'REQUEST_INVALID');
    await refused(point, { kind: 'page-blob', disk: 'os', account: 'someone', container: 'else', blob: 'a.vhd' }, 403, 'TARGET_NOT_ALLOWED');
  });

  it('a region or zone that lacks the kind of disk or the size', async () => {
    await refused(point, { kind: 'disk', disk: 'os', name: 'x', location: 'elsewhere', sku: 'PremiumV2_LRS' }, 409, 'CLOUD_SKU_UNAVAILABLE');
    await refused(point, { kind: 'disk', disk: 'os', name: 'x', location: 'elsewhere', zone: '1' }, 409, 'CLOUD_SKU_UNAVAILABLE');
    await refused(point, { kind: 'vm', name: 'web02', network: subnet(), size: 'Standard_NC24' }, 409, 'CLOUD_SKU_UNAVAILABLE');
    await refused(point, { kind: 'vm', name: 'web02', network: subnet(), size: 'Standard_None' }, 409, 'CLOUD_SKU_UNAVAILABLE');
  });

  it('a machine that is not there, or without the disks to exchange', async () => {
    await refused(point, { kind: 'in-place', vmId: vmIdOf(home, 'gone') }, 404, 'CLOUD_NOT_FOUND');
    await refused(point, { kind: 'in-place', vmId: vmIdOf(home, 'db01') }, 409, 'CLOUD_STATE_WRONG');
    await refused(point, { kind: 'vm', name: 'web02', network: subnet(), disks: ['web01_data'] }, 400, 'REQUEST_INVALID');
    await refused(point, { kind: 'in-place', disks: ['os', 'web01_os'] }, 400, 'REQUEST_INVALID');
  });

  it('a body that is wrong, naming each field', async () => {
    const wrong: [object | string, RegExp][] = [
      [{}, /target/], [{ target: { kind: 'tape' } }, /target\.kind/], [{ target: { kind: 'disk', name: '../x' } }, /target\.name/], [{ target: { kind: 'vm', name: 'web02' } }, /target\.network/],
      [{ target: { kind: 'vm', name: 'web02', network: { nicIds: ['https://x'] } } }, /network/], [{ id: 'UPPER', target: { kind: 'disk', name: 'x' } }, /id:/],
      [{ target: { kind: 'disk', name: 'x', more: 1 } }, /more/], [{ target: { kind: 'in-place', vmId: 'http://169.254.169.254/' } }, /vmId/],
      [{ target: { kind: 'page-blob', account: 'x.evil.example', container: 'c', blob: 'b' } }, /account/], ['no json', /JSON/],
    ];
    for (const [body, pattern] of wrong) {
      const answer = typeof body === 'string' ? await home.json(`/api/recovery-points/${point}/restores`, { method: 'POST', body }) : await ask(home, point, body);
      assert.deepEqual([answer.status, (answer.body as { code: string }).code], [400, 'REQUEST_INVALID'], answer.text);
      assert.match((answer.body as { detail: string }).detail, pattern);
    }
  });

  it('disks whose names are as long as names may be never share a new one', async () => {
    const plan = async (id: string, target: object): Promise<string[]> => {
      const answer = await ask(home, point, { dryRun: true, id, target });
      assert.equal(answer.status, 200, answer.text);
      return (answer.body as { disks: { target: { id: string } }[] }).disks.map(({ target: { id: made } }) => made.slice(made.lastIndexOf('/') + 1));
    };
    for (const id of ['r', 'r'.repeat(40)]) {
      const names = await plan(id, { kind: 'vm', name: 'n'.repeat(64), network: subnet() });
      assert.equal(new Set(names).size, 2, names.join());
      assert.ok(names.every((name) => name.length <= 80 && name.endsWith(`-${id}`)), names.join());
    }
  });

  it('and a dry run answers the plan, with its warnings, and makes nothing', async () => {
    const answer = await ask(home, point, { dryRun: true, id: 'dry', target: { kind: 'in-place', keepOldDisks: false } });
    assert.equal(answer.status, 200, answer.text);
    const plan = answer.body as { dryRun: boolean; proved: boolean; warnings: string[]; disks: { name: string; target: { id: string } }[]; swap: { oldDisks: string[] } };
    assert.deepEqual([plan.dryRun, plan.proved, plan.disks.map(({ target }) => target.id)], [true, true, ['web01_os-dry', 'web01_data-dry'].map((name) => diskIdOf(home, name))]);
    assert.deepEqual(plan.swap.oldDisks, [diskIdOf(home, 'web01_os'), diskIdOf(home, 'web01_data')]);
    assert.match(plan.warnings.join(), /are deleted once the machine runs/);
  });
});

describe('the dry run of a restore by difference', () => {
  let home: Home;
  afterEach(() => home.dispose());

  it('says what would come from the vault and what be copied, by the newest recovery point, and refuses disks that cannot be compared', async () => {
    home = await startHome((folder) => addVm(folder, 'web01', { os: halfDisk(2, 1), data: noise(3 * MiB, 2) }));
    const first = (await home.backUp('web01')).recoveryPoint ?? '';
    await writeDisk(home, 'web01', 'data', noise(4096, 5), 65_536);
    const second = (await home.backUp('web01')).recoveryPoint ?? '';
    const estimate = async (point: string, target: object): Promise<RestoreEstimate> => {
      const answer = await ask(home, point, { dryRun: true, id: 'dry', target });
      assert.equal(answer.status, 200, answer.text);
      return (answer.body as { estimate: RestoreEstimate }).estimate;
    };
    const whole = 4 * MiB;
    assert.deepEqual(await estimate(second, { kind: 'in-place', differential: true }), { dataBytes: whole, fromVaultBytes: 0, copiedBytes: whole, goingBy: second });
    const back = await estimate(first, { kind: 'in-place', differential: true });
    assert.ok(back.goingBy === second && back.fromVaultBytes >= 4096 && back.fromVaultBytes < MiB && back.copiedBytes === whole - back.fromVaultBytes, JSON.stringify(back));
    assert.deepEqual(await estimate(first, { kind: 'in-place' }), { dataBytes: whole, fromVaultBytes: whole, copiedBytes: 0, goingBy: null });
    home.standIn.faults.add({ kind: 'replaceDisk', vm: 'web01', disk: 'data.img' });
    const replaced = await estimate(second, { kind: 'in-place', differential: true });
    assert.deepEqual([replaced.fromVaultBytes, replaced.copiedBytes, replaced.goingBy], [3 * MiB, MiB, second]);

    const described = await home.deps.cloud.getVm(vmIdOf(home, 'web01'));
    for (const [change, words] of [[{ needsEntraToRead: true }, /Entra token/], [{ logicalSectorBytes: 4096 }, /sectors of 4096 bytes/], [{ sku: 'UltraSSD_LRS' }, /only after hours/]] as const) {
      const disks = described.disks.map((disk) => ({ ...disk, ...change }));
      const deps = { ...home.deps, cloud: new Proxy(home.deps.cloud, { get: (target, name) => (name === 'getVm' ? () => Promise.resolve({ ...described, disks }) : Reflect.get(target, name) as unknown) }) };
      const { target } = restoreBodySchema.parse({ target: { kind: 'in-place', differential: true, sku: 'Premium_LRS' } });
      await assert.rejects(planRestore(deps, home.vault, { version: 1, restoreId: 'no', recoveryPoint: first, target, requestedAt: '' }), (error: unknown) => isHoldfastError(error, 'RESTORE_UNSUPPORTED') && words.test(error.message));
    }
    await assertLeft(home, []);
  });
});

describe('a machine of Trusted Launch', () => {
  let home: Home;
  afterEach(() => home.dispose());

  it('is carried over with a warning about its virtual TPM, or restored as a standard one when asked', async () => {
    home = await startHome((folder) => addVm(folder, 'web01', { os: halfDisk(2, 1) }));
    const point = (await home.backUp('web01')).recoveryPoint ?? '';
    await rewrite(home, point, ({ source }) => {
      (source.model as { properties: Record<string, unknown> }).properties['securityProfile'] = { securityType: 'TrustedLaunch', uefiSettings: { secureBootEnabled: true, vTpmEnabled: true } };
    });
    const network = { subnetId: `/subscriptions/${home.standIn.subscriptionId}/resourceGroups/net/providers/Microsoft.Network/virtualNetworks/v/subnets/s` };
    const carried = await restoreAndWait(home, point, { id: 'one', target: { kind: 'vm', name: 'web02', network } });
    assert.equal(carried.state, 'succeeded', JSON.stringify(carried));
    assert.match(carried.warnings.join(), /new virtual TPM.*BitLocker/);
    const standard = await restoreAndWait(home, point, { id: 'two', target: { kind: 'vm', name: 'web03', network, security: 'standard' } });
    assert.equal(standard.state, 'succeeded', JSON.stringify(standard));
    assert.match(standard.warnings.join(), /standard one, as was asked/);
  });
});

describe('a machine with two disks of one name', () => {
  let home: Home;
  afterEach(() => home.dispose());

  it('is refused in place as a whole, and restored disk by disk', async () => {
    home = await startHome((folder) => addVm(folder, 'web01', { os: halfDisk(2, 1), data: noise(MiB, 2) }));
    const point = (await home.backUp('web01')).recoveryPoint ?? '';
    await rewrite(home, point, ({ disks }) => { for (const disk of disks) disk.name = 'same'; });
    const whole = await ask(home, point, { target: { kind: 'in-place' } });
    assert.deepEqual([whole.status, (whole.body as { code: string }).code], [400, 'REQUEST_INVALID'], whole.text);
    assert.match((whole.body as { detail: string }).detail, /lun os and 0 would both become/);
    const one = await restoreAndWait(home, point, { id: 'one', target: { kind: 'in-place', disks: ['0'] } });
    assert.equal(one.state, 'succeeded', JSON.stringify(one));
    await assertLeft(home, ['same-one']);
  });
});

/** Puts another manifest in the place of a recovery point's. */
async function rewrite(home: Home, point: string, change: (manifest: z.infer<typeof manifestSchema>) => void): Promise<void> {
  const name = `recovery-points/${point.replace('.', '/')}`;
  const manifest = await findDocument(home.vault, name, manifestSchema);
  assert.ok(manifest);
  await home.vault.store.delete(name);
  change(manifest);
  await createDocument(home.vault, name, manifest);
}
