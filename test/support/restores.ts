import assert from 'node:assert/strict';
import type { ActivityDeps } from '../../activities/deps';
import { RESTORE_TAG } from '../../activities/restore-records';
import type { RestoreJobView } from '../../functions/restore-view';
import type { StateContent } from '../../local/azure/state';
import { parseFooter } from '../../vault/format/vhd-footer';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Hold } from './fault-store';
import type { Home, Reply } from './home';

/** The address of a disk of the stand-in. */
export const diskIdOf = (home: Home, name: string): string => `/subscriptions/${home.standIn.subscriptionId}/resourceGroups/local/providers/Microsoft.Compute/disks/${name}`;
export const vmIdOf = (home: Home, name: string): string => `/subscriptions/${home.standIn.subscriptionId}/resourceGroups/local/providers/Microsoft.Compute/virtualMachines/${name}`;

export const ask = (home: Home, recoveryPoint: string, body: object, headers: Record<string, string> = {}): Promise<Reply> =>
  home.json(`/api/recovery-points/${recoveryPoint}/restores`, { method: 'POST', body: JSON.stringify(body), headers });

/** Starts a restore over HTTP; its job's id. */
export async function startRestore(home: Home, recoveryPoint: string, body: object): Promise<string> {
  const started = await ask(home, recoveryPoint, body);
  assert.equal(started.status, 202, started.text);
  const { id, location } = started.body as { id: string; location: string };
  assert.deepEqual([location, started.headers.get('location')], [`/api/jobs/${id}`, `/api/jobs/${id}`]);
  return id;
}

export const restoreJob = async (home: Home, id: string): Promise<RestoreJobView> => (await home.json(`/api/jobs/${id}`)).body as RestoreJobView;

/** Starts a restore and waits for its end. */
export async function restoreAndWait(home: Home, recoveryPoint: string, body: object): Promise<RestoreJobView> {
  const id = await startRestore(home, recoveryPoint, body);
  await home.host.waitFor(id, { until: 'finished' });
  return restoreJob(home, id);
}

/** The bytes of a disk of the stand-in as Azure would hand them out: its data, without the footer, which must be a good one. */
export async function diskBytes(home: Home, diskId: string): Promise<Buffer> {
  const state = await stateOf(home);
  const record = Object.values(state.disks).find(({ id }) => id.toLowerCase() === diskId.toLowerCase());
  assert.ok(record, `there is no disk ${diskId}`);
  const content = await readFile(path.join(home.folder, 'azure', 'content', record.file));
  const parsed = parseFooter(content.subarray(-512));
  assert.ok('footer' in parsed && parsed.footer.currentSizeBytes === content.length - 512, `the disk ${diskId} has no good footer`);
  return content.subarray(0, -512);
}

/** A restored disk is the image, and zeros to its end. */
export async function assertDiskIs(home: Home, diskId: string, image: Buffer): Promise<void> {
  const bytes = await diskBytes(home, diskId);
  assert.ok(bytes.length >= image.length, `${diskId} has ${bytes.length} bytes`);
  assert.ok(bytes.subarray(0, image.length).equals(image), `${diskId} differs from the image`);
  assert.ok(bytes.subarray(image.length).every((byte) => byte === 0), `${diskId} is not zeros to its end`);
}

export const stateOf = async (home: Home): Promise<StateContent> => JSON.parse(await readFile(path.join(home.folder, 'azure', 'state.json'), 'utf8')) as StateContent;

/** What activities are made with, but that a step which calls this method of a cloud sleeps there until the hold is released. */
export const asleep = <C extends 'cloud' | 'restoreCloud'>(home: Home, hold: Hold, cloud: C, method: keyof ActivityDeps[C]): ActivityDeps => ({
  ...home.deps,
  [cloud]: new Proxy(home.deps[cloud], {
    get: (target, name) => {
      const member = Reflect.get(target, name) as (...all: unknown[]) => Promise<unknown>;
      return name !== method ? member : async (...all: unknown[]) => { await hold.pass(); return member.apply(target, all); };
    },
  }),
});

/** Names of the disks that restores made and that are there. */
export const madeDisks = async (home: Home): Promise<string[]> => Object.values((await stateOf(home)).disks).map(({ name }) => name).sort();

/** Names of the snapshots that restores made and that are there. */
export const madeSnapshots = async (home: Home): Promise<string[]> => Object.values((await stateOf(home)).snapshots).filter(({ tags }) => RESTORE_TAG in tags).map(({ name }) => name).sort();

/** I5: no disk of a restore but these, no snapshot of one, and no access open. */
export async function assertLeft(home: Home, disks: readonly string[]): Promise<void> {
  await home.host.settle();
  assert.deepEqual(await madeSnapshots(home), [], 'snapshots of present disks that were left behind');
  assert.deepEqual((await home.leftovers()).open, [], 'access that was left open');
  assert.deepEqual(await madeDisks(home), [...disks].sort());
}
