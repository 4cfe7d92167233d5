import assert from 'node:assert/strict';
import { isHoldfastError } from '../../errors/holdfast-error';
import { itemIdOf } from '../../vault/catalog';
import { recordItem } from '../../vault/items';
import { makeVault } from '../support/vault-kit';

describe('item names', () => {
  const vault = makeVault();
  before(async () => {
    for (const [itemId, name] of [['web-11111111', 'web'], ['web-22222222', 'web-2222'], ['db-33333333', 'db'], ['db-44444444', 'db']] as const) {
      await recordItem(vault, { itemId, kind: 'azure-vm', name, resourceId: null }, 0);
    }
  });

  it('stand for the one item that has them, and for nothing else', async () => {
    assert.equal(await itemIdOf(vault, 'web'), 'web-11111111');
    assert.equal(await itemIdOf(vault, 'web-11111111'), 'web-11111111');
    assert.equal(await itemIdOf(vault, 'we'), 'we');
    assert.equal(await itemIdOf(vault, '../web'), '../web');
  });

  it('that several items have are refused, with their ids', async () => {
    await assert.rejects(itemIdOf(vault, 'db'), (error) => isHoldfastError(error, 'ITEM_AMBIGUOUS') && /db-33333333, db-44444444/.test(error.message));
  });
});
