import assert from 'node:assert/strict';
import { isHoldfastError } from '../../errors/holdfast-error';
import type { RestoreCloud } from '../../activities/restore-cloud';
import { createRestoreCloud } from '../../azure/compute/cloud';
import { recordedWaiting } from '../support/wire-server';
import { type ArmScript, compute, ok, refusal, startArm, subscription } from './arm-script';

const all = `/subscriptions/${subscription}/providers/Microsoft.Compute`;
const tags = { 'Holdfast-Vault': 'a'.repeat(32) };

describe('what carries a tag', () => {
  let arm: ArmScript;
  afterEach(() => arm.close());
  const owned = (): RestoreCloud => createRestoreCloud({
    subscriptionIds: [subscription], armEndpoint: arm.server.url, credential: { getToken: () => Promise.reject(new Error('none is needed')) }, waiting: recordedWaiting(), restoreContainers: [],
  });

  it('is found on every page, whatever the case of the tag\'s name; the rest is left out', async () => {
    arm = await startArm();
    arm.on(`GET ${all}/snapshots`, ok({ value: [{ id: `${compute}/snapshots/a`, name: 'a', location: 'westeurope', tags, properties: { timeCreated: '2026-11-23T10:00:00Z', diskState: 'ActiveSAS', creationData: {} } }, { id: `${compute}/snapshots/other`, name: 'other', location: 'x', properties: { creationData: {} } }], nextLink: `${arm.server.url}${all}/snapshots?$skiptoken=2` }), ok({ value: [{ id: `${compute}/snapshots/b`, name: 'b', location: 'westeurope', tags, properties: { creationData: {} } }] }));
    assert.deepEqual(await owned().listOwned('snapshot', 'holdfast-vault'), [
      { kind: 'snapshot', id: `${compute}/snapshots/a`, name: 'a', location: 'westeurope', tags, createdAt: '2026-11-23T10:00:00.000Z', diskState: 'ActiveSAS', managedBy: null },
      { kind: 'snapshot', id: `${compute}/snapshots/b`, name: 'b', location: 'westeurope', tags, createdAt: null, diskState: null, managedBy: null },
    ]);
  });

  it('of disks and collections tells what each has', async () => {
    arm = await startArm();
    arm.on(`GET ${all}/disks`, ok({ value: [{ id: `${compute}/disks/d`, name: 'd', location: 'l', tags, managedBy: `${compute}/virtualMachines/v`, properties: { diskState: 'Attached', creationData: {} } }] }));
    arm.on(`GET ${all}/restorePointCollections`, ok({ value: [{ id: `${compute}/restorePointCollections/c`, name: 'c', location: 'l', tags, properties: { source: { id: 'v' } } }] }));
    assert.deepEqual((await owned().listOwned('disk', 'holdfast-vault')).map(({ managedBy, diskState }) => [managedBy, diskState]), [[`${compute}/virtualMachines/v`, 'Attached']]);
    assert.deepEqual((await owned().listOwned('restorePointCollection', 'holdfast-vault')).map(({ name, createdAt, managedBy }) => [name, createdAt, managedBy]), [['c', null, null]]);
  });

  it('13: a page that fails is an error and no shorter list', async () => {
    arm = await startArm();
    arm.on(`GET ${all}/snapshots`, ok({ value: [{ id: `${compute}/snapshots/a`, name: 'a', location: 'l', tags, properties: { creationData: {} } }], nextLink: `${arm.server.url}${all}/snapshots?$skiptoken=2` }), refusal(403, 'AuthorizationFailed'));
    await assert.rejects(owned().listOwned('snapshot', 'holdfast-vault'), (error) => isHoldfastError(error, 'CLOUD_ACCESS_DENIED'));
  });

  it('restore points of a collection are listed; a collection that is gone has none', async () => {
    arm = await startArm();
    arm.on(`GET ${compute}/restorePointCollections/c`, ok({ id: 'c', name: 'c', location: 'l', properties: { source: { id: 'v' }, restorePoints: [{ id: 'p', name: 'hf-1', properties: { timeCreated: '2026-11-23T10:00:00Z' } }] } }));
    const place = { subscriptionId: subscription, resourceGroup: 'rg-app' };
    assert.deepEqual(await arm.cloud.listRestorePoints({ ...place, collection: 'c' }), [{ name: 'hf-1', createdAt: '2026-11-23T10:00:00.000Z' }]);
    assert.equal(arm.server.requests.at(-1)?.query.get('$expand'), 'restorePoints');
    assert.deepEqual(await arm.cloud.listRestorePoints({ ...place, collection: 'gone' }), []);
    await assert.rejects(arm.cloud.listRestorePoints({ ...place, collection: '../x' }), (error) => isHoldfastError(error, 'CLOUD_ID_INVALID'));
  });
});
