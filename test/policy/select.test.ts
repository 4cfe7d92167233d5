import assert from 'node:assert/strict';
import type { PolicyDocument } from '../../policy/schema';
import { policyFor, selectItems } from '../../policy/select';
import { excludedDisks } from '../../policy/disk-filter';
import { policyWith, vmId } from './policy-samples';

const vm = (name: string, tags: Record<string, string> = {}): { id: string; name: string; tags: Record<string, string> } => ({ id: vmId(name), name, tags });
const vms = [vm('web01', { Env: 'prod', tier: 'web' }), vm('web02', { env: 'test', tier: 'web' }), vm('db01', { ENV: 'prod', backup: 'no' }), vm('bare')];
const selected = (items: Record<string, unknown>): string[] => selectItems(policyWith({ items }), vms).map(({ name }) => name);

describe('policy/select', () => {
  it('selects nothing by an id or a tag that no VM has', () => {
    assert.deepEqual(selected({ resourceIds: [vmId('web')] }), []);
    assert.deepEqual(selected({ resourceIds: [vmId('web01', 'other')] }), []);
    assert.deepEqual(selected({ tags: { env: 'PROD' } }), [], 'values have case');
    assert.deepEqual(selected({ tags: { owner: 'me' } }), []);
    assert.deepEqual(selected({ tags: { constructor: 'x', toString: 'y' } }), [], 'nothing comes from a prototype');
  });

  it('lets exclusion win over every way to be included', () => {
    assert.deepEqual(selected({ all: true, excludeTags: { Backup: 'no' } }), ['web01', 'web02', 'bare']);
    assert.deepEqual(selected({ resourceIds: [vmId('db01')], excludeTags: { backup: ['no', 'never'] } }), []);
    assert.deepEqual(selected({ tags: { env: 'prod' }, excludeResourceIds: [vmId('WEB01')] }), ['db01']);
    assert.deepEqual(selected({ all: true, excludeTags: { backup: 'no', env: 'test' } }), ['web01', 'bare'], 'any one of them');
  });

  it('selects by id without case, by every tag, by any of the values of a tag, and by both', () => {
    assert.deepEqual(selected({ all: true }), ['web01', 'web02', 'db01', 'bare']);
    assert.deepEqual(selected({ resourceIds: [vmId('WEB02').toUpperCase()] }), ['web02']);
    assert.deepEqual(selected({ tags: { env: 'prod', TIER: 'web' } }), ['web01']);
    assert.deepEqual(selected({ tags: { env: ['test', 'prod'] } }), ['web01', 'web02', 'db01']);
    assert.deepEqual(selected({ resourceIds: [vmId('bare')], tags: { env: 'test' } }), ['web02', 'bare']);
  });

  it('gives a VM once that the cloud lists twice', () => {
    const twice = [vm('a'), { ...vm('a'), id: vmId('A') }];
    assert.equal(selectItems(policyWith({}), twice).length, 1);
  });

  it('names every enabled policy that covers a VM, and no disabled one', () => {
    const policies: PolicyDocument[] = [
      policyWith({ name: 'all' }), policyWith({ name: 'off', enabled: false }),
      policyWith({ name: 'prod', items: { tags: { env: 'prod' } } }), policyWith({ name: 'one', items: { resourceIds: [vmId('bare')] } }),
    ];
    assert.deepEqual(vms.map((item) => policyFor(item, policies).map(({ name }) => name)), [['all', 'prod'], ['all'], ['all', 'prod'], ['all', 'one']]);
    assert.deepEqual(policyFor(vm('x'), []), []);
  });
});

describe('policy/disk-filter', () => {
  const disks = [{ lun: 'os', name: 'web01-os' }, { lun: '0', name: 'data' }, { lun: '1', name: 'Scratch' }, { lun: '10', name: 'logs' }];
  const reasons = (excludeDisks: unknown[]): string[] => excludedDisks(policyWith({ excludeDisks }), disks).map(({ disk, reason }) => `${disk.name}: ${reason}`);

  it('leaves no disk out without a rule that matches it', () => {
    assert.deepEqual(reasons([]), []);
    assert.deepEqual(reasons([{ lun: 2 }, { name: 'scratc' }, { name: 'os' }]), []);
  });

  it('leaves disks out by LUN and by name, with the rule that says so', () => {
    assert.deepEqual(reasons([{ lun: 1 }, { name: 'SCRATCH' }, { lun: 'os' }, { name: 'data' }]),
      ['web01-os: excludeDisks[2]: lun "os"', 'data: excludeDisks[3]: name "data"', 'Scratch: excludeDisks[0]: lun "1"']);
    assert.deepEqual(reasons([{ lun: '10' }]), ['logs: excludeDisks[0]: lun "10"']);
    assert.deepEqual(reasons([{ lun: 0 }]), ['data: excludeDisks[0]: lun "0"']);
  });
});
