import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { isHoldfastError } from '../../errors/holdfast-error';
import { itemIdOfResource, parseItemName } from '../../policy/item-id';
import { parseVmResourceId } from '../../policy/resource-id';
import { SUBSCRIPTION, vmId } from './policy-samples';

const refused = (error: unknown): boolean => isHoldfastError(error, 'ITEM_NAME_INVALID');

describe('policy/item-id', () => {
  it('refuses a name that is not one, and shows it', () => {
    for (const name of ['', '-a', 'A', 'a b', 'a/b', '..', 'ä', 'a\n', 'a'.repeat(41), 'web_01']) assert.throws(() => parseItemName(name), refused, JSON.stringify(name));
    assert.throws(() => parseItemName('Web 01'), /"Web 01"/);
  });

  it('refuses what is no resource id', () => {
    for (const id of ['', 'web01', '/', '/web01', '/a/', '//', vmId('')]) assert.throws(() => itemIdOfResource(id), refused, JSON.stringify(id));
  });

  it('takes a valid name as it is', () => {
    for (const name of ['a', '0', 'web01', 'web01-3f9a2c1d', 'a'.repeat(40), 'a-']) assert.equal(parseItemName(name), name);
  });

  it('is the name and eight digits of the hash of the lower-cased id', () => {
    const hash = createHash('sha256').update(vmId('web01', 'prod').toLowerCase()).digest('hex');
    assert.equal(itemIdOfResource(vmId('web01', 'prod')), `web01-${hash.slice(0, 8)}`);
    assert.equal(itemIdOfResource(vmId('WEB01', 'Prod').replace('providers', 'PROVIDERS')), `web01-${hash.slice(0, 8)}`, 'case plays no part');
    assert.notEqual(itemIdOfResource(vmId('web01', 'test')), itemIdOfResource(vmId('web01', 'prod')));
  });

  it('makes a slug of any name', () => {
    const slug = (name: string): string => itemIdOfResource(vmId(name)).slice(0, -9);
    assert.equal(slug('SQL_Server.01'), 'sql-server-01');
    assert.equal(slug('_x_'), 'x');
    assert.equal(slug('数据'), 'item');
    assert.equal(slug('a'.repeat(64)), 'a'.repeat(31));
    assert.equal(slug(`${'a'.repeat(30)}-b`), 'a'.repeat(30), 'no dash is left at the cut');
  });

  it('always makes a valid item name', () => {
    fc.assert(fc.property(fc.string({ minLength: 1, unit: 'grapheme' }).filter((name) => !name.includes('/') && !/[\n\r\u2028\u2029]/.test(name)), (name) => {
      const id = itemIdOfResource(vmId(name));
      assert.equal(parseItemName(id), id);
      assert.match(id, /-[0-9a-f]{8}$/);
    }));
  });
});

describe('policy/resource-id', () => {
  it('refuses everything but the full id of a VM', () => {
    const good = vmId('web01');
    const wrong = [
      '', '/', good.slice(1), `${good}/`, ` ${good}`, `${good}\n`, `${good}/extensions/x`, good.replace(SUBSCRIPTION, 'x'), good.replace(SUBSCRIPTION, `${SUBSCRIPTION}0`),
      good.replace('Microsoft.Compute', 'MicrosoftXCompute'), good.replace('virtualMachines', 'virtualMachineScaleSets'), vmId('web01', ''), vmId('web01', 'a b'),
      vmId('web01', 'ends.'), vmId('web01', 'a'.repeat(91)), vmId('-a'), vmId('a-'), vmId('a b'), vmId('a'.repeat(81)), vmId('..'), `${good}?sig=x`,
    ];
    for (const id of wrong) assert.equal(parseVmResourceId(id), null, JSON.stringify(id));
  });

  it('takes the id apart, in any case', () => {
    assert.deepEqual(parseVmResourceId(vmId('Web-01.x', 'My_(group)-1')), { subscriptionId: SUBSCRIPTION, resourceGroup: 'My_(group)-1', name: 'Web-01.x' });
    assert.deepEqual(parseVmResourceId(vmId('w', 'g').toUpperCase()), { subscriptionId: SUBSCRIPTION.toUpperCase(), resourceGroup: 'G', name: 'W' });
  });
});
