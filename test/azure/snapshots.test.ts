import assert from 'node:assert/strict';
import { isHoldfastError } from '../../errors/holdfast-error';
import { type ArmScript, compute, ok, refusal, startArm } from './arm-script';

const id = `${compute}/snapshots/hf-1`;
const diskId = `${compute}/disks/os`;
const request = { id, diskId, location: 'westeurope', tags: { holdfast: 'yes' } };
const body = (properties: object = {}, more: object = {}) => ({ id, ...more, properties: { incremental: true, creationData: { createOption: 'Copy', sourceResourceId: diskId.toUpperCase(), sourceUniqueId: 'u1' }, ...properties } });

describe('snapshots of disks', () => {
  let arm: ArmScript;
  beforeEach(async () => {
    arm = await startArm();
  });
  afterEach(() => arm.close());
  const puts = () => arm.server.requests.filter((one) => one.method === 'PUT');

  it('begins an incremental one and does not wait', async () => {
    arm.on(`PUT ${id}`, () => ({ status: 202, headers: { location: `${arm.server.url}/operations/1` }, body: {} }));
    assert.equal(await arm.cloud.startSnapshot(request), 'started');
    assert.deepEqual(JSON.parse(puts()[0]?.body ?? ''), { location: 'westeurope', tags: { holdfast: 'yes' }, properties: { incremental: true, creationData: { createOption: 'Copy', sourceResourceId: diskId } } });
    for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
    assert.deepEqual(arm.server.log, [`GET ${id}`, `PUT ${id}`]);
  });

  it('adopts its own and refuses one of another disk or a whole one', async () => {
    arm.on(`GET ${id}`, ok(body()));
    assert.equal(await arm.cloud.startSnapshot(request), 'exists');
    for (const other of [body({ incremental: false }), body({ creationData: { createOption: 'Copy', sourceResourceId: `${diskId}-2` } })]) {
      arm.on(`GET ${id}`, ok(other));
      await assert.rejects(arm.cloud.startSnapshot(request), (error) => isHoldfastError(error, 'CLOUD_CONFLICT'));
    }
    assert.equal(puts().length, 0);
  });

  it('reads back after a lost answer, and does not take another disk\'s for its own', async () => {
    arm.on(`PUT ${id}`, 'reset');
    arm.on(`GET ${id}`, refusal(404, 'ResourceNotFound'), ok(body()));
    assert.equal(await arm.cloud.startSnapshot(request), 'started');
    arm.on(`GET ${id}`, refusal(404, 'ResourceNotFound'), ok(body({ creationData: { createOption: 'Copy', sourceResourceId: `${diskId}-2` } })));
    await assert.rejects(arm.cloud.startSnapshot(request), (error) => isHoldfastError(error, 'CLOUD_CONFLICT'));
    assert.equal(puts().length, 2, 'one for each call');
  });

  it('names the quota that is reached', async () => {
    for (const [status, code, message] of [[409, 'QuotaExceeded', 'x'], [403, 'SnapshotCountExceeded', 'x'], [409, 'OperationNotAllowed', 'Operation could not be completed as it results in exceeding approved quota']] as const) {
      arm.on(`PUT ${id}`, refusal(status, code, message));
      const wanted = code === 'SnapshotCountExceeded' ? 'SNAPSHOT_LIMIT' : 'CLOUD_QUOTA';
      await assert.rejects(arm.cloud.startSnapshot(request), (error) => isHoldfastError(error, wanted) && error.data['serviceCode'] === code, code);
    }
  });

  it('tells its state', async () => {
    arm.on(`GET ${id}`, ok(body({ provisioningState: 'Succeeded', timeCreated: '2026-01-01T00:00:00Z', diskSizeBytes: 5 * 1024 ** 3, diskSizeGB: 6, completionPercent: 12.5, incrementalSnapshotFamilyId: 'f1' }, { tags: { r: '1' } })));
    assert.deepEqual(await arm.cloud.getSnapshot(id), { state: 'succeeded', createdAt: '2026-01-01T00:00:00.000Z', sizeBytes: 5 * 1024 ** 3, completionPercent: 12.5, familyId: 'f1', sourceUniqueId: 'u1', tags: { r: '1' }, failure: null });
    arm.on(`GET ${id}`, ok(body({ provisioningState: 'Succeeded', copyCompletionError: { errorCode: 'CopySourceNotFound', errorMessage: 'gone' } })));
    const failed = await arm.cloud.getSnapshot(id);
    assert.deepEqual([failed?.state, failed?.failure], ['failed', { serviceCode: 'CopySourceNotFound', message: 'gone' }]);
    arm.on(`GET ${id}`, ok(body({ provisioningState: 'Updating', completionPercent: 100 })), refusal(404, 'ResourceNotFound'));
    const running = await arm.cloud.getSnapshot(id);
    assert.deepEqual([running?.state, running?.completionPercent], ['running', 99]);
    assert.equal(await arm.cloud.getSnapshot(id), undefined);
  });

  it('is deleted by name, idempotently', async () => {
    arm.on(`DELETE ${id}`, () => ({ status: 202, headers: { location: `${arm.server.url}/operations/2` } }), { status: 204 });
    assert.equal(await arm.cloud.startDeleteSnapshot(id), 'started');
    assert.equal(await arm.cloud.startDeleteSnapshot(id), 'absent');
    arm.on(`DELETE ${id}`, refusal(409, 'Conflict', 'There is an active shared access signature outstanding for snapshot'));
    await assert.rejects(arm.cloud.startDeleteSnapshot(id), (error) => isHoldfastError(error, 'CLOUD_CONFLICT'));
  });
});
