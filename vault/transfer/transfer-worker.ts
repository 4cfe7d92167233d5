// Entry of a transfer thread: one message at a time in, one answer out. See transfer-lane.ts.
import { parentPort } from 'node:worker_threads';
import { fromReport, toReport } from '../../errors/holdfast-error';
import { LaneWork } from './lane-work';
import { loadFactory, type Spec } from './transfer-factory';
import type { FromLane, RenewAccess, ToLane } from './transfer-lane';

const port = parentPort;
if (!port) throw new Error('transfer-worker runs in a worker thread only');

const say = (message: FromLane): void => port.postMessage(message);
let lane: LaneWork | undefined;
interface Renewal { spec?: Promise<Spec>; resolve?(spec: Spec): void; reject?(error: Error): void }
const renewals = new Map<'source' | 'sink', Renewal>();

/** Requests that find access expired at the same time share one renewal. */
const renew: RenewAccess = (what) => {
  const renewal: Renewal = renewals.get(what) ?? {};
  renewals.set(what, renewal);
  return renewal.spec ??= new Promise((resolve, reject) => {
    Object.assign(renewal, { resolve, reject });
    say({ kind: 'renew', what });
  });
};

async function answer(message: Exclude<ToLane, { kind: 'renewed' }>): Promise<unknown> {
  if (message.kind === 'open') {
    lane = await LaneWork.open(message.options, await loadFactory(message.options.factory), renew);
    return undefined;
  }
  if (!lane) throw new Error('The lane is not open');
  switch (message.kind) {
    case 'write': return lane.write(message.job);
    case 'read': return lane.read(message.job);
    case 'compare': return lane.compare(message.job);
    case 'assemble': return lane.assemble(message.job);
    case 'flush': return lane.flush();
    case 'close': return lane.close();
  }
}

port.on('message', (message: ToLane) => {
  if (message.kind === 'renewed') {
    const renewal = renewals.get(message.what);
    renewals.delete(message.what);
    if (message.spec) renewal?.resolve?.(message.spec); else if (message.error) renewal?.reject?.(fromReport(message.error));
    return;
  }
  answer(message).then((value) => say({ kind: 'done', value }), (error: unknown) => say({ kind: 'failed', error: toReport(error) }));
});
