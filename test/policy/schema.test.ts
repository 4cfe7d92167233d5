import assert from 'node:assert/strict';
import { HoldfastError } from '../../errors/holdfast-error';
import { parsePolicy, parsePolicyText, policyJsonSchema } from '../../policy/schema';
import { minimal, policyWith, refusedFields, vmId } from './policy-samples';

/** A full document, every field given. */
const full = (): Record<string, unknown> => ({
  name: 'nightly-prod',
  description: 'Every night',
  enabled: false,
  schedule: { weekly: { days: ['monday', 'friday'], at: ['01:30', '13:30'] } },
  firstBackup: 'next-slot',
  items: { resourceIds: [vmId('web01')], tags: { env: ['prod', 'pre'], 'cost center': '42' }, excludeResourceIds: [vmId('x')], excludeTags: { backup: 'no' } },
  driver: 'restorePoint',
  scripts: null,
  consistency: 'crash',
  onWeakerConsistency: 'fail',
  excludeDisks: [{ lun: 'os' }, { lun: 3 }, { lun: '63' }, { name: 'scratch' }],
  keepBase: 'none',
  retention: {
    keepLast: 1, keepWithinDays: 2, daily: { count: 3 }, weekly: { count: 4, weekday: 'sunday' },
    monthly: { count: 5, week: 'last', weekday: 'friday' }, yearly: { count: 6, month: 'february', day: 29 },
  },
  limits: { maxParallelVms: 50, maxParallelTransfers: 16, bandwidthMiBPerSecond: 12.5 },
  maxRunHours: 168,
});

/** The document, what in it is wrong, and how the line of the field begins. */
const refusals: readonly (readonly [label: string, fields: Record<string, unknown>, line: string])[] = [
  ['name absent', { name: undefined }, 'name: missing'],
  ['name with capitals', { name: 'Daily' }, 'name: expected 1 to 40 of a-z, 0-9 and -; received "Daily"'],
  ['name empty', { name: '' }, 'name: '],
  ['name too long', { name: 'a'.repeat(41) }, 'name: '],
  ['description no text', { description: 7 }, 'description: expected string; received 7'],
  ['description null', { description: null }, 'description: '],
  ['enabled a text', { enabled: 'true' }, 'enabled: expected boolean; received "true"'],
  ['schedule absent', { schedule: undefined }, 'schedule: missing'],
  ['schedule empty', { schedule: {} }, 'schedule: expected exactly one of daily, hourly, weekly, monthly, minutes, cron; found none'],
  ['schedule twice', { schedule: { hourly: { every: 1 }, minutes: { every: 5 } } }, 'schedule: expected exactly one of'],
  ['schedule unknown', { schedule: { yearly: {} } }, 'schedule.yearly: no such field; received {}'],
  ['time out of the day', { schedule: { daily: { at: ['24:00'] } } }, 'schedule.daily.at[0]: expected a UTC time of day from "00:00" to "23:59"; received "24:00"'],
  ['time without a zero', { schedule: { daily: { at: ['02:00', '2:30'] } } }, 'schedule.daily.at[1]: '],
  ['no times', { schedule: { daily: { at: [] } } }, 'schedule.daily.at: '],
  ['too many times', { schedule: { daily: { at: Array.from({ length: 101 }, () => '02:00') } } }, 'schedule.daily.at: '],
  ['times too close', { schedule: { daily: { at: ['02:00', '02:04'] } } }, 'schedule.daily.at[1]: less than 5 minutes from "02:00"; received "02:04"'],
  ['times too close over midnight', { schedule: { daily: { at: ['23:58', '00:02'] } } }, 'schedule.daily.at[1]: less than 5 minutes'],
  ['a time twice', { schedule: { weekly: { days: ['monday'], at: ['02:00', '02:00'] } } }, 'schedule.weekly.at[1]: the same time twice'],
  ['hours that do not divide a day', { schedule: { hourly: { every: 5 } } }, 'schedule.hourly.every: expected one of 1, 2, 3, 4, 6, 8, 12; received 5'],
  ['minute of 60', { schedule: { hourly: { every: 1, minute: 60 } } }, 'schedule.hourly.minute: '],
  ['a weekday misspelt', { schedule: { weekly: { days: ['moonday'], at: ['02:00'] } } }, 'schedule.weekly.days[0]: '],
  ['a weekday twice', { schedule: { weekly: { days: ['monday', 'monday'], at: ['02:00'] } } }, 'schedule.weekly.days[1]: the same day twice'],
  ['no weekday', { schedule: { weekly: { days: [], at: ['02:00'] } } }, 'schedule.weekly.days: '],
  ['weekly without times', { schedule: { weekly: { days: ['monday'] } } }, 'schedule.weekly.at: missing'],
  ['day 0', { schedule: { monthly: { days: [0], at: ['02:00'] } } }, 'schedule.monthly.days[0]: expected a day from 1 to 31 or "last"; received 0'],
  ['day 32', { schedule: { monthly: { days: [1, 32], at: ['02:00'] } } }, 'schedule.monthly.days[1]: '],
  ['minutes of 7', { schedule: { minutes: { every: 7 } } }, 'schedule.minutes.every: expected one of 5, 10, 15, 20, 30; received 7'],
  ['cron of 6 fields', { schedule: { cron: '0 0 2 * * *' } }, 'schedule.cron: expected 5 fields'],
  ['cron too often', { schedule: { cron: '*/4 * * * *' } }, 'schedule.cron: more than one slot in 5 minutes; received "*/4 * * * *"'],
  ['cron too close over midnight', { schedule: { cron: '1,58 0,23 * * *' } }, 'schedule.cron: more than one slot in 5 minutes'],
  ['cron that never comes', { schedule: { cron: '0 2 30 2 *' } }, 'schedule.cron: no such day ever comes'],
  ['firstBackup unknown', { firstBackup: 'later' }, 'firstBackup: expected one of "now", "next-slot"; received "later"'],
  ['items absent', { items: undefined }, 'items: missing'],
  ['items empty', { items: {} }, 'items: covers nothing'],
  ['items only excluding', { items: { excludeTags: { a: 'b' } } }, 'items: covers nothing'],
  ['items all and some', { items: { all: true, tags: { a: 'b' } } }, 'items.all: all: true leaves no room'],
  ['items all false', { items: { all: false } }, 'items.all: expected true; received false'],
  ['an id that is a disk', { items: { resourceIds: [vmId('a').replace('virtualMachines', 'disks')] } }, 'items.resourceIds[0]: expected the resource id of a VM'],
  ['no ids', { items: { resourceIds: [] } }, 'items.resourceIds: '],
  ['an excluded id cut short', { items: { all: true, excludeResourceIds: ['/subscriptions/x'] } }, 'items.excludeResourceIds[0]: '],
  ['no tags', { items: { tags: {} } }, 'items.tags: at least one tag is needed'],
  ['a tag that is a number', { items: { tags: { 'cost center': 3 } } }, 'items.tags["cost center"]: '],
  ['a tag with no values', { items: { tags: { env: [] } } }, 'items.tags.env: '],
  ['a tag without a name', { items: { tags: { '': 'x' } } }, 'items.tags[""]: the key is not allowed'],
  ['a tag twice', { items: { tags: { env: 'a', Env: 'b' } } }, 'items.tags.Env: the same tag twice'],
  ['driver unknown', { driver: 'magic' }, 'driver: '],
  ['consistency unknown', { consistency: 'file-system' }, 'consistency: '],
  ['onWeakerConsistency unknown', { onWeakerConsistency: 'warn' }, 'onWeakerConsistency: '],
  ['a driver that always fails', { driver: 'diskSnapshot', onWeakerConsistency: 'fail' }, 'onWeakerConsistency: every backup would fail'],
  ['a LUN of 64', { excludeDisks: [{ lun: 64 }] }, 'excludeDisks[0].lun: '],
  ['a LUN with a zero', { excludeDisks: [{ lun: '01' }] }, 'excludeDisks[0].lun: expected "os" or a LUN from 0 to 63; received "01"'],
  ['a disk by nothing', { excludeDisks: [{ lun: 1 }, {}] }, 'excludeDisks[1]: expected exactly one of lun, name'],
  ['a disk by two things', { excludeDisks: [{ lun: 1, name: 'x' }] }, 'excludeDisks[0]: expected exactly one of lun, name'],
  ['keepBase unknown', { keepBase: 'all' }, 'keepBase: '],
  ['retention of nothing', { retention: {} }, 'retention: at least one rule is needed'],
  ['keepLast 0', { retention: { keepLast: 0 } }, 'retention.keepLast: '],
  ['keepWithinDays a fraction', { retention: { keepWithinDays: 1.5 } }, 'retention.keepWithinDays: '],
  ['daily without a count', { retention: { daily: {} } }, 'retention.daily.count: missing'],
  ['weekly on no day', { retention: { weekly: { count: 1, weekday: 'x' } } }, 'retention.weekly.weekday: '],
  ['monthly by two things', { retention: { monthly: { count: 1, day: 1, week: 'first', weekday: 'monday' } } }, 'retention.monthly.day: either day, or week with weekday'],
  ['monthly week without weekday', { retention: { monthly: { count: 1, week: 'first' } } }, 'retention.monthly.weekday: '],
  ['monthly weekday without week', { retention: { monthly: { count: 1, weekday: 'monday' } } }, 'retention.monthly.week: '],
  ['yearly day without month', { retention: { yearly: { count: 1, day: 1 } } }, 'retention.yearly.month: '],
  ['yearly 30 February', { retention: { yearly: { count: 1, month: 'february', day: 30 } } }, 'retention.yearly.day: february has no such day; received 30'],
  ['a retention rule unknown', { retention: { keepLast: 1, hourly: 3 } }, 'retention.hourly: no such field; received 3'],
  ['no parallel VM', { limits: { maxParallelVms: 0 } }, 'limits.maxParallelVms: '],
  ['51 parallel VMs', { limits: { maxParallelVms: 51 } }, 'limits.maxParallelVms: '],
  ['17 parallel transfers', { limits: { maxParallelTransfers: 17 } }, 'limits.maxParallelTransfers: '],
  ['no bandwidth', { limits: { bandwidthMiBPerSecond: 0 } }, 'limits.bandwidthMiBPerSecond: '],
  ['a limit unknown', { limits: { maxCpu: 1 } }, 'limits.maxCpu: no such field'],
  ['maxRunHours 0', { maxRunHours: 0 }, 'maxRunHours: '],
  ['maxRunHours over a week', { maxRunHours: 169 }, 'maxRunHours: '],
  ['a field unknown', { retentionDays: 7 }, 'retentionDays: no such field; received 7'],
];

describe('policy/schema', () => {
  for (const [label, fields, line] of refusals) {
    it(`refuses ${label} and names the field`, () => {
      const named = refusedFields({ ...minimal(), ...fields });
      assert.ok(named.some((field) => field.startsWith(line)), `${JSON.stringify(named)} has no line that begins with ${line}`);
    });
  }

  it('names every wrong field at once, with what was received', () => {
    const named = refusedFields({ name: 'A', schedule: { daily: { at: ['25:00', '26:00'] } }, items: { all: true }, driver: 1, extra: [] });
    assert.deepEqual(named.map((line) => line.split(':')[0]), ['name', 'schedule.daily.at[0]', 'schedule.daily.at[1]', 'driver', 'extra']);
  });

  it('fault 32: refuses what is no document at all', () => {
    for (const value of [undefined, null, 1, 'x', true, [], [minimal()], () => 1, Symbol('x'), 1n, new Date(0), new Map(), Number.NaN]) {
      assert.match(refusedFields(value).join(), /^\(document\): /);
    }
  });

  it('refuses a __proto__ key wherever it is', () => {
    const text = JSON.stringify({ ...minimal(), retention: { keepLast: 1 } });
    assert.deepEqual(refusedFields(JSON.parse(text.replace('"keepLast"', '"__proto__":{"keepLast":2},"keepLast"'))),
      ['retention.__proto__: a key of this name is never accepted']);
    assert.match(refusedFields(JSON.parse(text.replace('{"all":true}', '{"tags":{"__proto__":"x"}}'))).join(), /^items\.tags\.__proto__: /);
    assert.match(refusedFields(JSON.parse(text.replace('{', '{"__proto__":{"enabled":false},'))).join(), /^__proto__: /);
  });

  it('takes no field from a prototype and runs no getter', () => {
    const inherited: unknown = Object.create(minimal());
    assert.match(refusedFields(inherited).join(), /not a plain JSON object/);
    let calls = 0;
    const withGetter: unknown = Object.defineProperty(minimal(), 'enabled', { enumerable: true, get: () => { calls += 1; return true; } });
    assert.deepEqual(refusedFields(withGetter), ['enabled: not a plain JSON property']);
    assert.equal(calls, 0);
  });

  it('refuses more than 64 KiB and more than 12 levels, also in a value that contains itself', () => {
    const fill = 64 * 1024 - JSON.stringify({ ...minimal(), description: '' }).length;
    assert.match(refusedFields({ ...minimal(), description: 'x'.repeat(fill) }).join(), /^description: /, 'at the limit the field is judged');
    assert.deepEqual(refusedFields({ ...minimal(), description: 'x'.repeat(fill + 1) }), ['(document): larger than 64 KiB']);
    assert.deepEqual(refusedFields({ ...minimal(), description: '\u0001'.repeat(20_000) }), ['(document): larger than 64 KiB'], 'escapes count');
    const nested = (levels: number): unknown => (levels === 0 ? 1 : { a: nested(levels - 1) });
    assert.match(refusedFields(nested(12)).join(), /a: no such field/);
    assert.deepEqual(refusedFields(nested(13)), ['(document): nested deeper than 12 levels']);
    const loop: unknown[] = [];
    loop.push(loop);
    assert.deepEqual(refusedFields(loop), ['(document): nested deeper than 12 levels']);
  });

  it('cuts long values, bounds the list, and hides what looks like a secret', () => {
    const [long = ''] = refusedFields({ ...minimal(), driver: 'x'.repeat(5000) });
    assert.ok(long.length < 250 && long.endsWith('…'), long);
    const many = refusedFields({ ...minimal(), excludeDisks: Array.from({ length: 90 }, () => ({ lun: 99, a: 1, b: 2 })) });
    assert.equal(many.length, 201);
    assert.equal(many.at(-1), '(document): 70 more wrong fields');
    const secret = refusedFields({ ...minimal(), vault: 'https://a.blob.core.windows.net/c?sv=1&sig=abcdef' });
    assert.deepEqual(secret, ['vault: no such field; received (hidden: it looks like a secret)']);
    assert.doesNotMatch(refusedFields({ ...minimal(), schedule: { cron: '0 2 * * AccountKey=abc' } }).join(), /abc/);
  });

  it('says in the message what is wrong, and in the remedy what to do', () => {
    assert.throws(() => parsePolicy({ ...minimal(), driver: 'magic' }), (error) => {
      assert.ok(error instanceof HoldfastError);
      assert.match(error.message, /driver: .*received "magic"/);
      assert.match(error.remedy, /policies\.md/);
      return true;
    });
  });

  it('takes scripts with both halves, bounded, and not with crash consistency', () => {
    const scripts = { pre: 'a', post: 'b' };
    assert.deepEqual(parsePolicy({ ...minimal(), scripts }).scripts, { ...scripts, timeoutSeconds: 60, onFailure: 'accept' });
    for (const bad of [{ pre: 'a' }, { ...scripts, timeoutSeconds: 901 }, { ...scripts, pre: '' }, { ...scripts, post: 'x'.repeat(16_385) }, { ...scripts, onFailure: 'x' }, { ...scripts, more: 1 }]) {
      assert.throws(() => parsePolicy({ ...minimal(), scripts: bad }), HoldfastError, JSON.stringify(bad).slice(0, 80));
    }
    assert.throws(() => parsePolicy({ ...minimal(), scripts, consistency: 'crash' }), /scripts make a machine consistent/);
    assert.throws(() => parsePolicy({ ...minimal(), driver: 'diskSnapshot', onWeakerConsistency: 'fail' }), /every backup would fail/);
    assert.equal(parsePolicy({ ...minimal(), driver: 'diskSnapshot', onWeakerConsistency: 'fail', scripts }).driver, 'diskSnapshot');
  });

  it('fills in every default', () => {
    assert.deepEqual(parsePolicy(minimal()), {
      ...minimal(),
      enabled: true, firstBackup: 'now', driver: 'auto', consistency: 'application', onWeakerConsistency: 'accept', scripts: null, excludeDisks: [], keepBase: 'newest',
      retention: { keepLast: 3, keepWithinDays: 14, daily: { count: 30 }, weekly: { count: 8 }, monthly: { count: 12 } },
      limits: { maxParallelVms: 4, maxParallelTransfers: 4, bandwidthMiBPerSecond: null },
      maxRunHours: 24,
    });
    assert.deepEqual(policyWith({ limits: { maxParallelVms: 9 } }).limits, { maxParallelVms: 9, maxParallelTransfers: 4, bandwidthMiBPerSecond: null });
    assert.deepEqual(policyWith({ schedule: { hourly: { every: 4 } } }).schedule, { hourly: { every: 4, minute: 0 } });
    assert.deepEqual(policyWith({ retention: { keepLast: 1 } }).retention, { keepLast: 1 }, 'a given retention is not mixed with the default');
  });

  it('gives defaults that no caller can change for the next', () => {
    const first = parsePolicy(minimal());
    first.retention.keepLast = 99;
    first.limits.maxParallelVms = 99;
    first.excludeDisks.push({ lun: 'os' });
    assert.deepEqual(policyWith({}).retention.keepLast, 3);
    assert.deepEqual(policyWith({}).limits.maxParallelVms, 4);
    assert.deepEqual(policyWith({}).excludeDisks, []);
  });

  it('accepts a full document as it is, and leaves its argument alone', () => {
    const document = full();
    assert.deepEqual(parsePolicy(document), full());
    assert.deepEqual(document, full());
  });

  it('accepts every kind of schedule', () => {
    const schedules = [
      { hourly: { every: 12, minute: 59 } }, { monthly: { days: [1, 31, 'last'], at: ['00:00', '00:05'] } },
      { minutes: { every: 5 } }, { cron: '0 2 * * SUN#1' }, { cron: ' */15  8-18/2 1,15,L jan-jun * ' },
    ];
    for (const schedule of schedules) assert.deepEqual(policyWith({ schedule }).schedule, schedule);
  });

  it('reads a text, and refuses one that is not JSON or too large', () => {
    assert.deepEqual(parsePolicyText(JSON.stringify(full())), full());
    assert.match(refusedFields('{"name":', (text) => parsePolicyText(String(text))).join(), /^\(document\): not JSON; received "\{/);
    assert.deepEqual(refusedFields(`{}${' '.repeat(64 * 1024)}`, (text) => parsePolicyText(String(text))), ['(document): larger than 64 KiB']);
  });

  it('gives a JSON Schema with every field, closed against others', () => {
    const schema = policyJsonSchema();
    assert.deepEqual(Object.keys(schema['properties'] ?? {}).sort(), Object.keys(full()).sort());
    assert.deepEqual(schema['required'], ['name', 'schedule', 'items']);
    assert.equal(schema['additionalProperties'], false);
    assert.match(String(schema['$schema']), /2020-12/);
    assert.deepEqual(JSON.parse(JSON.stringify(schema)), schema, 'plain JSON');
  });
});
