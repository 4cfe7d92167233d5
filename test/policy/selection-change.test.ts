import assert from 'node:assert/strict';
import fc from 'fast-check';
import { isHoldfastError } from '../../errors/holdfast-error';
import { itemsSchema, type ItemsSelection } from '../../policy/items-schema';
import { selectItems, type SelectableVm } from '../../policy/select';
import { withoutVm, withVm } from '../../policy/selection-change';

const vm = (name: string, tags: Record<string, string> = {}): SelectableVm =>
  ({ id: `/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/${name}`, name, tags });
const [web, db, app] = [vm('web', { env: 'prod' }), vm('db', { env: 'test' }), vm('app')];
const upper = (one: SelectableVm): string => one.id.toUpperCase().replace('/SUBSCRIPTIONS/', '/subscriptions/');

describe('changing whom a policy selects', () => {
  it('adds a machine by the least change', () => {
    assert.deepEqual(withVm({ all: true }, web), { all: true });
    assert.deepEqual(withVm({ all: true, excludeResourceIds: [upper(web)] }, web), { all: true });
    assert.deepEqual(withVm({ all: true, excludeResourceIds: [web.id, db.id] }, web), { all: true, excludeResourceIds: [db.id] });
    assert.deepEqual(withVm({ tags: { env: 'prod' } }, web), { tags: { env: 'prod' } });
    assert.deepEqual(withVm({ tags: { env: 'prod' } }, db), { tags: { env: 'prod' }, resourceIds: [db.id] });
    assert.throws(() => withVm({ all: true, excludeTags: { env: 'prod' } }, web), (error) => isHoldfastError(error, 'SELECTION_BY_TAGS'));
    assert.throws(() => withVm({ resourceIds: [db.id], excludeTags: { env: 'prod' } }, web), (error) => isHoldfastError(error, 'SELECTION_BY_TAGS'));
  });

  it('takes a machine out by the least change, and never makes a policy that covers nothing', () => {
    assert.deepEqual(withoutVm({ all: true }, web), { all: true, excludeResourceIds: [web.id] });
    assert.deepEqual(withoutVm({ tags: { env: 'prod' }, resourceIds: [upper(web)] }, web), { tags: { env: 'prod' }, excludeResourceIds: [web.id] });
    assert.deepEqual(withoutVm({ resourceIds: [web.id, db.id] }, web), { resourceIds: [db.id] });
    assert.deepEqual(withoutVm({ resourceIds: [db.id] }, web), { resourceIds: [db.id] });
    assert.throws(() => withoutVm({ resourceIds: [web.id] }, web), (error) => isHoldfastError(error, 'SELECTION_EMPTY'));
  });

  it('changes nothing for any other machine, and stays a selection', () => {
    const ids = fc.option(fc.uniqueArray(fc.constantFrom(web.id, db.id, app.id), { minLength: 1 }), { nil: undefined });
    const tags = fc.option(fc.record({ env: fc.constantFrom('prod', 'test') }), { nil: undefined });
    const selections = fc.record({ all: fc.option(fc.constant(true as const), { nil: undefined }), resourceIds: ids, tags, excludeResourceIds: ids, excludeTags: tags })
      .map((items) => JSON.parse(JSON.stringify(items)) as ItemsSelection).filter((items) => itemsSchema.safeParse(items).success);
    const seed = Number(process.env['FC_SEED'] ?? Date.now() % 2 ** 31);
    fc.assert(fc.property(selections, fc.constantFrom(web, db, app), fc.boolean(), (items, one, adds) => {
      let changed: ItemsSelection;
      try {
        changed = adds ? withVm(items, one) : withoutVm(items, one);
      } catch (error) {
        assert.ok(isHoldfastError(error, adds ? 'SELECTION_BY_TAGS' : 'SELECTION_EMPTY'));
        return;
      }
      assert.ok(itemsSchema.safeParse(changed).success, JSON.stringify(changed));
      const before = new Set(selectItems({ items }, [web, db, app]));
      const after = new Set(selectItems({ items: changed }, [web, db, app]));
      for (const other of [web, db, app]) assert.equal(after.has(other), other === one ? adds : before.has(other), JSON.stringify([items, changed]));
    }), { seed, numRuns: 500 });
  });
});
