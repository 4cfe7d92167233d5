import assert from 'node:assert/strict';
import { type AzureType, findings } from './azure-type';
import { notInList, notSeen, textOf } from './compare';
import { type Call, CallList } from './calls';
import { merged, type Shape, shapeOf } from './shape';

describe('the shape of bodies', () => {
  it('keeps kinds and words, and leaves names and values out', () => {
    const body = { location: 'westeurope', tags: { mine: 'yes' }, zones: ['1'], properties: { createOption: 'Upload', sizeBytes: 512, ratio: 0.5, isOn: true, none: null, empty: [] } };
    assert.deepEqual(shapeOf(body), {
      location: 'string', properties: { createOption: '=Upload', empty: [], isOn: 'boolean', none: 'null', ratio: 'number', sizeBytes: 'integer' }, tags: 'map', zones: ['string'],
    });
  });

  it('is the same whatever the order in which bodies come', () => {
    const bodies = [{ a: 'One', list: [] }, { a: 'Two', b: 1 }, { list: [{ x: 1 }, { x: 2, y: 'text here' }], a: 'One' }];
    const shapes = bodies.map((body) => shapeOf(body));
    const wanted = { a: '=One|=Two', 'b?': 'integer', 'list?': [{ x: 'integer', 'y?': 'string' }] };
    for (const order of [[0, 1, 2], [2, 1, 0], [1, 2, 0]]) assert.deepEqual(order.map((index) => shapes[index] ?? '').reduce(merged), wanted);
    assert.equal(merged('=One', 'string'), 'string');
    assert.throws(() => merged({ a: '=One' }, 'string'), /no shapes of one kind/);
  });
});

describe('the list of calls', () => {
  const arm = (method: string, target: string, userAgent: string, body = {}): CallList => {
    const list = new CallList();
    list.addArm({ method, target, userAgent, body });
    return list;
  };
  const disk = '/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/disks/d';

  it('names what is asked and who asks, and leaves a test\'s own clients out', () => {
    assert.deepEqual(arm('PUT', `${disk}?api-version=2026-03-02`, 'holdfast-restore azsdk-js', { location: 'x' }).all(), [{ call: 'PUT Microsoft.Compute/disks/{}', version: '2026-03-02', by: ['restore'], body: { location: 'string' } }]);
    assert.deepEqual(arm('POST', `${disk}/endGetAccess?api-version=1`, 'holdfast azsdk-js').all(), [{ call: 'POST Microsoft.Compute/disks/{}/endGetAccess', version: '1' }]);
    assert.deepEqual(arm('GET', `${disk}?api-version=1&$expand=instanceView`, 'holdfast-backup').all().map(({ call }) => call), ['GET Microsoft.Compute/disks/{}?$expand=instanceView']);
    assert.deepEqual(arm('GET', disk, 'azsdk-js-arm-compute').all(), []);
    assert.deepEqual(arm('GET', disk, 'holdfastidious').all(), []);
  });

  it('tells an access URL, a signature of the app\'s own and a request by identity apart', () => {
    const sent = (method: string, target: string, headers: Record<string, string>): string[] => {
      const list = new CallList();
      list.addSent({ method, target, header: (name) => headers[name] });
      return list.all().map(({ call, by }) => `${call}${by ? ` by ${by.join()}` : ''}`);
    };
    const version = { 'x-ms-version': '2024-11-04' };
    assert.deepEqual(sent('GET', '/c/abcd?si=1&sig=x&comp=pagelist', { ...version, 'x-ms-previous-snapshot-url': 'y' }), ['access Get Page Ranges, diff']);
    assert.deepEqual(sent('GET', '/vhds/os.vhd?skoid=1&sp=r&sig=x', version), ['blob Get Blob, signed r']);
    assert.deepEqual(sent('PUT', '/vault/packs/1', { ...version, 'user-agent': 'holdfast-backup x', 'if-none-match': '*' }), ['blob Put Blob, create only by backup']);
    assert.deepEqual(sent('POST', '/keys/k/v/unwrapkey?api-version=7.4', { 'user-agent': 'holdfast-maintenance' }), ['keyvault unwrapkey by maintenance']);
    assert.deepEqual(sent('GET', '/c/abcd', { ...version, 'user-agent': 'azsdk-js' }), []);
  });

  it('is held against what was seen, both ways', () => {
    const listed: Call[] = [{ call: 'GET x', version: '1', by: ['backup'] }, { call: 'PUT y', version: '1', by: ['backup', 'restore'], body: { a: 'string', 'b?': 'integer' } }];
    const seen = (more: Partial<Call>): Call[] => [{ call: 'PUT y', version: '1', by: ['backup'], body: { a: 'string', 'b?': 'integer' }, ...more }];
    assert.deepEqual(notInList(listed, listed), []);
    assert.deepEqual(notInList(seen({}), listed), []);
    assert.deepEqual(notInList(seen({ body: { a: 'string' } }), listed), []);
    assert.deepEqual(notInList(seen({ version: '2' }), listed), ['PUT y 2: not in the list']);
    assert.deepEqual(notInList(seen({ by: ['maintenance'] }), listed), ['PUT y 1: made by maintenance, which the list does not have']);
    for (const body of [{ a: 'string', c: 'string' }, { b: 'integer' }, { a: 'integer' }] as Shape[]) assert.match(notInList(seen({ body }), listed).join(), /^PUT y 1: the list has no such body/);
    assert.deepEqual(notSeen(seen({ body: { a: 'string' } }), listed), ['GET x 1: in the list, and nothing asks for it', 'PUT y 1: in the list by restore, who does not', 'PUT y 1: the list has more than any body: {"a":"string","b?":"integer"}']);
    assert.deepEqual(JSON.parse(textOf(listed)), listed);
  });
});

describe('a type of Azure\'s', () => {
  const type: AzureType = {
    members: {
      'location!': 'string', 'id^': 'string', size: 'integer', isOn: 'boolean', kind: { words: ['One', 'Two'] }, loose: { words: ['One'], open: true }, list: { each: 'string' }, tags: { members: {}, others: 'string' }, deep: 'unread', free: 'any',
      source: { by: 'option', members: { 'option!': { words: ['Copy', 'Empty'] } }, cases: { Copy: { members: { 'from!': 'string' } }, Empty: { members: {} } } },
    },
  };
  const good = { location: 'string', size: 'integer', isOn: 'boolean', kind: '=One|=Two', loose: 'string', list: ['string'], tags: 'map', free: { anything: 'string' }, source: { option: '=Copy', from: 'string' } };

  it('takes a body that is as it says', () => {
    assert.deepEqual(findings(good, type, false), []);
    assert.deepEqual(findings({ size: 'integer' }, type, true), [], 'a PATCH gives only what it changes');
  });

  const wrong: readonly [string, Record<string, unknown>, RegExp][] = [
    ['a member that it does not know', { other: 'string' }, /\.other: Azure does not know it/],
    ['a member that is only read', { id: 'string' }, /\.id: is only read/],
    ['a text for a number', { size: 'string' }, /\.size: string, where Azure has integer/],
    ['a number for a text', { location: 'integer' }, /\.location: integer, where Azure has a text/],
    ['a word that it does not have', { kind: '=Three' }, /\.kind: "Three" is none of One, Two/],
    ['a word that an open list does not have', { loose: '=Three' }, /\.loose: "Three" is none of One/],
    ['any text for a word', { kind: 'string' }, /\.kind: any text, where/],
    ['an object for a text', { location: { a: 'string' } }, /\.location: an object/],
    ['a text for an object', { source: 'string' }, /\.source: string, where Azure has an object/],
    ['a list for a text', { location: ['string'] }, /\.location: a list/],
    ['an element of another kind', { list: ['integer'] }, /\.list\[\]: integer/],
    ['a map for a text', { location: 'map' }, /\.location/],
    ['a member that its case lacks', { source: { option: '=Empty', from: 'string' } }, /\.source\.from: Azure does not know it/],
    ['a case without what it needs', { source: { option: '=Copy' } }, /\.source\.from: must always be there/],
    ['a part that the extract does not have', { deep: { a: 'string' } }, /\.deep: not in the extract/],
  ];
  for (const [what, change, message] of wrong) it(`refuses ${what}`, () => assert.match(findings({ ...good, ...change } as never, type, false).join('\n'), message));

  it('refuses a body that lacks what must be there, or has it only sometimes', () => {
    assert.match(findings({ size: 'integer' }, type, false).join(), /\.location: must always be there/);
    assert.match(findings({ 'location?': 'string' }, type, false).join(), /\.location: must always be there/);
  });
});
