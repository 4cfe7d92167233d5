import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { StateContent } from '../../local/azure/state';
import type { Home } from './home';

const stateOf = async (home: Home): Promise<StateContent> => JSON.parse(await readFile(path.join(home.folder, 'azure', 'state.json'), 'utf8')) as StateContent;

/** The snapshots of page blobs that are there, oldest first: `blob?snapshot`, with the tags that say whose they are. */
export async function blobSnapshots(home: Home): Promise<{ name: string; tags: Readonly<Record<string, string>> }[]> {
  const { guests } = await stateOf(home);
  return Object.values(guests?.snapshots ?? {}).map(({ blob, snapshot, metadata }) => ({ name: `${blob}?${snapshot}`, tags: metadata })).sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Invariant I5 for page blobs: so many snapshots, no status blob, and the extension still set. */
export async function assertBlobsClean(home: Home, bases: number): Promise<void> {
  const { guests } = await stateOf(home);
  assert.deepEqual((await blobSnapshots(home)).length, bases, `snapshots: ${JSON.stringify(await blobSnapshots(home))}`);
  assert.deepEqual(Object.keys(guests?.blockBlobs ?? {}), [], 'status blobs that were left');
  await home.assertClean(0);
}

/** What guests did so far, oldest first. */
export const deeds = async (home: Home): Promise<readonly string[]> => (await stateOf(home)).guests?.deeds ?? [];

/** Invariant I7: no access signature in any history, job, log or status, nor in what the stand-in wrote down of calls. */
export async function assertNoSignature(home: Home): Promise<void> {
  const seen: Record<string, string> = { logs: home.logs.join('\n'), calls: JSON.stringify(home.standIn.calls.all()) };
  for (const { instanceId } of home.host.client.list()) seen[instanceId] = JSON.stringify([home.host.client.getStatus(instanceId, { showHistory: true, showHistoryOutput: true }), home.host.client.history(instanceId)]);
  for (const [where, text] of Object.entries(seen)) assert.ok(!/\bsig=|%3Fsig|blobSASUri/i.test(text), `${where} holds a signature`);
  assert.ok(Object.keys(seen).length > 2, 'there was a history to look at');
}

/** Run commands that are on machines. */
export const runCommands = async (home: Home): Promise<string[]> => Object.values((await stateOf(home)).guests?.runCommands ?? {}).map(({ name }) => name);
