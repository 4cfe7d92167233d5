import assert from 'node:assert/strict';
import { isHoldfastError } from '../../errors/holdfast-error';
import type { ErrorCode } from '../../errors/catalogue';
import { type ArmScript, compute, ok, refusal, startArm, subscription } from './arm-script';

const vmId = `${compute}/virtualMachines/web-1`;
const collection = `${compute}/restorePointCollections/hf-web-1`;
const point = `${collection}/restorePoints/hf-1`;
const drp = (disk: string) => `${point}/diskRestorePoints/${disk}_0f0f`;
const ref = { subscriptionId: subscription, resourceGroup: 'rg-app', collection: 'hf-web-1', name: 'hf-1' };
const request = { ...ref, vmId, location: 'westeurope', excludeDiskIds: [] as string[], crashConsistent: false, tags: { holdfast: 'yes' } };
const collectionBody = { id: collection, name: 'hf-web-1', location: 'westeurope', properties: { source: { id: vmId.toUpperCase() } } };
const pointBody = (properties: object) => ({ id: point, name: 'hf-1', properties });

describe('restore points', () => {
  let arm: ArmScript;
  beforeEach(async () => {
    arm = await startArm();
    arm.on(`GET ${collection}`, ok(collectionBody));
  });
  afterEach(() => arm.close());

  const sent = (method: string, path: string) => arm.server.requests.filter((one) => one.method === method && one.path === path);
  const rejects = (promise: Promise<unknown>, code: ErrorCode, serviceCode?: string) =>
    assert.rejects(promise, (error) => {
      assert.ok(isHoldfastError(error, code), String(error));
      if (serviceCode !== undefined) assert.equal(error.data['serviceCode'], serviceCode);
      return true;
    });
  const accepted = { status: 201, headers: { location: `${'http://never'}/polled`, 'retry-after': '1' }, body: pointBody({ provisioningState: 'Creating' }) };

  it('makes the collection when it is missing, begins the point, and polls nothing', async () => {
    arm.on(`GET ${collection}`, refusal(404, 'ResourceNotFound'));
    arm.on(`PUT ${collection}`, { status: 201, body: collectionBody });
    arm.on(`PUT ${point}`, accepted);
    assert.equal(await arm.cloud.startRestorePoint(request), 'started');
    for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
    assert.deepEqual(arm.server.log, [`GET ${collection}`, `PUT ${collection}`, `GET ${point}`, `PUT ${point}`]);
    assert.deepEqual(JSON.parse(sent('PUT', collection)[0]?.body ?? ''), { location: 'westeurope', tags: { holdfast: 'yes' }, properties: { source: { id: vmId } } });
    assert.deepEqual(arm.pausesMs, []);
  });

  it('sends no consistency but CrashConsistent, and that only when asked', async () => {
    arm.on(`PUT ${point}`, accepted);
    const disk = `${compute}/disks/data-2`;
    await arm.cloud.startRestorePoint({ ...request, excludeDiskIds: [disk] });
    await arm.cloud.startRestorePoint({ ...request, crashConsistent: true });
    const bodies = sent('PUT', point).map((one): unknown => JSON.parse(one.body));
    assert.deepEqual(bodies, [{ properties: { excludeDisks: [{ id: disk }] } }, { properties: { consistencyMode: 'CrashConsistent' } }]);
    assert.ok(sent('PUT', point).every((one) => one.headers.authorization === undefined), 'no token travels over http');
  });

  it('adopts a point of that name and sends nothing', async () => {
    arm.on(`GET ${point}`, ok(pointBody({ provisioningState: 'Failed' })));
    assert.equal(await arm.cloud.startRestorePoint(request), 'exists');
    assert.equal(sent('PUT', point).length, 0);
  });

  it('refuses a collection of another machine', async () => {
    arm.on(`GET ${collection}`, ok({ ...collectionBody, properties: { source: { id: `${vmId}-other` } } }));
    await rejects(arm.cloud.startRestorePoint(request), 'CLOUD_CONFLICT');
    assert.equal(sent('PUT', point).length, 0);
  });

  it('goes on when the answer to making the collection is lost but it is there', async () => {
    arm.on(`GET ${collection}`, refusal(404, 'ResourceNotFound'), ok(collectionBody));
    arm.on(`PUT ${collection}`, 'reset');
    arm.on(`PUT ${point}`, accepted);
    assert.equal(await arm.cloud.startRestorePoint(request), 'started');
    assert.equal(sent('PUT', collection).length, 1);
  });

  describe('when the outcome is unknown', () => {
    for (const [name, answer] of [['a lost answer', 'reset'], ['500', refusal(500, 'InternalExecutionError')], ['503', refusal(503, 'ServerBusy')], ['an answer that does not parse', { status: 200, headers: { 'content-type': 'application/json' }, body: '{"id":' }]] as const) {
      it(`reads back after ${name} and never sends the PUT twice`, async () => {
        arm.on(`GET ${point}`, refusal(404, 'ResourceNotFound'), ok(pointBody({ provisioningState: 'Creating' })));
        arm.on(`PUT ${point}`, answer);
        assert.equal(await arm.cloud.startRestorePoint(request), 'started');
        assert.equal(sent('PUT', point).length, 1);
      });
    }

    it('fails when nothing of that name is there, still with one PUT', async () => {
      arm.on(`PUT ${point}`, 'reset');
      await rejects(arm.cloud.startRestorePoint(request), 'CLOUD_UNREACHABLE');
      assert.equal(sent('PUT', point).length, 1);
      assert.equal(sent('GET', point).length, 2);
    });
  });

  it('takes the twin that was faster for its own', async () => {
    arm.on(`GET ${point}`, refusal(404, 'ResourceNotFound'), ok(pointBody({ provisioningState: 'Creating' })));
    arm.on(`PUT ${point}`, refusal(409, 'Conflict', 'Another restore point is being created'));
    assert.equal(await arm.cloud.startRestorePoint(request), 'exists');
  });

  it('says that another operation is in the way', async () => {
    arm.on(`PUT ${point}`, refusal(409, 'Conflict', 'Another restore point is being created'));
    await rejects(arm.cloud.startRestorePoint(request), 'CLOUD_CONFLICT', 'Conflict');
  });

  it('sends again after 429, as late as the service wants, and gives up as throttled', async () => {
    arm.on(`PUT ${point}`, refusal(429, 'TooManyRequests', 'Slow down.', { 'retry-after': '11' }), accepted);
    assert.equal(await arm.cloud.startRestorePoint(request), 'started');
    assert.ok(arm.pausesMs.length === 1 && (arm.pausesMs[0] ?? 0) >= 11_000);
    assert.match(arm.lines.join('\n'), /patience/);
    arm.on(`PUT ${point}`, refusal(429, 'TooManyRequests', 'Slow down.', { 'retry-after': '1' }));
    await rejects(arm.cloud.startRestorePoint(request), 'CLOUD_THROTTLED', 'TooManyRequests');
    assert.equal(sent('PUT', point).length, 2 + 5);
  });

  it('does not sleep through the pause between two points of a machine, and says how long it is', async () => {
    arm.on(`PUT ${point}`, refusal(429, 'OperationNotAllowed', 'Restore point creation rate exceeded.', { 'retry-after': '1200' }));
    await assert.rejects(arm.cloud.startRestorePoint(request), (error) => isHoldfastError(error, 'CLOUD_THROTTLED') && error.data['retryAfterMs'] === 1_200_000);
    assert.deepEqual(arm.pausesMs, []);
  });

  describe('status', () => {
    const succeeded = pointBody({
      provisioningState: 'Succeeded',
      consistencyMode: 'FileSystemConsistent',
      timeCreated: '2026-02-03T04:05:06.7Z',
      sourceMetadata: {
        storageProfile: {
          osDisk: { osType: 'Linux', diskSizeGB: 30, managedDisk: { id: `${compute}/disks/os` }, diskRestorePoint: { id: drp('os') } },
          dataDisks: [
            { lun: 3, diskSizeGB: 1024, managedDisk: { id: `${compute}/disks/data-3` }, diskRestorePoint: { id: drp('data-3') } },
            { lun: 4, diskSizeGB: 8, managedDisk: { id: `${compute}/disks/left-out` } },
          ],
        },
      },
    });

    it('tells what was reached, and each disk that is in it', async () => {
      arm.on(`GET ${point}`, ok(succeeded));
      arm.on(`GET ${drp('os')}`, ok({ properties: { familyId: 'f1', sourceUniqueId: 'u1', sourceResourceId: `${compute}/disks/os` } }));
      arm.on(`GET ${drp('data-3')}`, ok({ properties: { familyId: 'f2', sourceUniqueId: 'u2', completionPercent: 40, snapshotAccessState: 'Pending' } }));
      const status = await arm.cloud.getRestorePoint(ref);
      assert.deepEqual(status, {
        state: 'succeeded',
        consistency: 'file-system',
        createdAt: '2026-02-03T04:05:06.700Z',
        failure: null,
        disks: [
          { lun: 'os', sourceDiskId: `${compute}/disks/os`, handle: { kind: 'diskRestorePoint', id: drp('os') }, completionPercent: 100, sizeBytes: 30 * 1024 ** 3, familyId: 'f1', sourceUniqueId: 'u1' },
          { lun: '3', sourceDiskId: `${compute}/disks/data-3`, handle: { kind: 'diskRestorePoint', id: drp('data-3') }, completionPercent: 40, sizeBytes: 1024 ** 4, familyId: 'f2', sourceUniqueId: 'u2' },
        ],
      });
      assert.equal(sent('GET', point)[0]?.query.get('$expand'), 'instanceView');
    });

    it('claims only crash consistency when the service does not say', async () => {
      for (const [told, wanted] of [[undefined, 'crash'], ['SomethingNew', 'crash'], ['ApplicationConsistent', 'application'], ['CrashConsistent', 'crash']] as const) {
        arm.on(`GET ${point}`, ok(pointBody({ provisioningState: 'Succeeded', consistencyMode: told })));
        assert.equal((await arm.cloud.getRestorePoint(ref))?.consistency, wanted);
      }
    });

    it('is not readable while the access state holds it back, whatever the percentage', async () => {
      arm.on(`GET ${point}`, ok(succeeded));
      arm.on(`GET ${drp('data-3')}`, ok({ properties: {} }));
      for (const [accessState, percent, wanted] of [['InstantAccess', 100, 99], ['Pending', undefined, 0], ['AvailableWithInstantAccess', 100, 100], ['Available', undefined, 100], ['Unknown', 70, 70]] as const) {
        arm.on(`GET ${drp('os')}`, ok({ properties: { snapshotAccessState: accessState, completionPercent: percent } }));
        assert.equal((await arm.cloud.getRestorePoint(ref))?.disks[0]?.completionPercent, wanted, accessState);
      }
    });

    it('is running until it ended, and absent only after 404', async () => {
      arm.on(`GET ${point}`, ok(pointBody({ provisioningState: 'Creating' })), refusal(404, 'ResourceNotFound'));
      const running = await arm.cloud.getRestorePoint(ref);
      assert.deepEqual([running?.state, running?.consistency, running?.disks], ['running', null, []]);
      assert.equal(await arm.cloud.getRestorePoint(ref), undefined);
      arm.on(`GET ${point}`, refusal(403, 'AuthorizationFailed'));
      await rejects(arm.cloud.getRestorePoint(ref), 'CLOUD_ACCESS_DENIED', 'AuthorizationFailed');
      arm.on(`GET ${point}`, refusal(500, 'InternalServerError'));
      await rejects(arm.cloud.getRestorePoint(ref), 'CLOUD_FAILED', 'InternalServerError');
    });

    it('tells why it failed, without an access URL', async () => {
      arm.on(`GET ${point}`, ok(pointBody({ provisioningState: 'Failed', instanceView: { statuses: [{ code: 'ProvisioningState/failed/VMAgentStatusCommunicationError', level: 'Error', message: 'The agent is silent; see https://md-1.blob.core.windows.net/x?sig=abc' }] } })));
      const status = await arm.cloud.getRestorePoint(ref);
      assert.equal(status?.state, 'failed');
      assert.deepEqual(status?.failure, { serviceCode: 'VMAgentStatusCommunicationError', message: 'The agent is silent; see https://md-1.blob.core.windows.net/x?[redacted]', code: 'GUEST_AGENT_NOT_READY' });
    });
  });

  describe('deletion', () => {
    it('begins and does not wait; what is gone is absent', async () => {
      arm.on(`DELETE ${point}`, { status: 202, headers: { location: `${arm.server.url}/operations/1` } }, { status: 204 }, refusal(404, 'ResourceNotFound'));
      assert.equal(await arm.cloud.startDeleteRestorePoint(ref), 'started');
      assert.equal(await arm.cloud.startDeleteRestorePoint(ref), 'absent');
      assert.equal(await arm.cloud.startDeleteRestorePoint(ref), 'absent');
      assert.equal(sent('GET', '/operations/1').length, 0);
    });

    it('takes a collection away only when it is told that nothing is in it', async () => {
      arm.on(`GET ${collection}`, refusal(404, 'ResourceNotFound'), ok(collectionBody), ok({ ...collectionBody, properties: { restorePoints: [pointBody({})] } }), ok({ ...collectionBody, properties: { restorePoints: [] } }));
      arm.on(`DELETE ${collection}`, { status: 202, headers: { location: `${arm.server.url}/operations/1` } });
      const answers = [];
      for (let turn = 0; turn < 4; turn++) answers.push(await arm.cloud.startDeleteEmptyCollection(ref));
      assert.deepEqual(answers, ['absent', 'in use', 'in use', 'started']);
      assert.equal(sent('DELETE', collection).length, 1);
    });

    it('reads back when its answer is lost for good', async () => {
      arm.on(`DELETE ${point}`, 'reset');
      assert.equal(await arm.cloud.startDeleteRestorePoint(ref), 'started', 'nothing of that name is there');
      arm.on(`GET ${point}`, ok(pointBody({ provisioningState: 'Deleting' })));
      assert.equal(await arm.cloud.startDeleteRestorePoint(ref), 'started');
      arm.on(`GET ${point}`, ok(pointBody({ provisioningState: 'Succeeded' })));
      await rejects(arm.cloud.startDeleteRestorePoint(ref), 'CLOUD_UNREACHABLE');
    });
  });

  it('sends nothing for a foreign subscription or a name that is a path', async () => {
    arm.server.log.length = 0;
    const foreign = '99999999-2222-3333-4444-555555555555';
    await assert.rejects(arm.cloud.getRestorePoint({ ...ref, subscriptionId: foreign }), (error) => isHoldfastError(error, 'CLOUD_ACCESS_DENIED') && error.message.includes(foreign));
    await rejects(arm.cloud.startRestorePoint({ ...request, vmId: vmId.replace(subscription, foreign) }), 'CLOUD_ACCESS_DENIED');
    await rejects(arm.cloud.startRestorePoint({ ...request, excludeDiskIds: [`${compute}/disks/x`.replace(subscription, foreign)] }), 'CLOUD_ACCESS_DENIED');
    await rejects(arm.cloud.startDeleteRestorePoint({ ...ref, name: '../../x' }), 'CLOUD_ID_INVALID');
    await rejects(arm.cloud.startDeleteRestorePoint({ ...ref, name: 'a?api-version=1' }), 'CLOUD_ID_INVALID');
    assert.deepEqual(arm.server.log, []);
  });
});
