import path from 'node:path';
import { AZURITE_PORT } from './azurite';
import type { Contender, Place } from './contender';
import { BENCH_FOLDER, ROOT } from './options';
import type { Command } from './process';

/** What a user runs. */
const PROGRAM = path.join(ROOT, 'bin', 'holdfast.js');

export const vaultAddress = (place: Place): string =>
  place.kind === 'folder' ? place.store : `http://127.0.0.1:${AZURITE_PORT}/devstoreaccount1/${place.container}`;

export const holdfast: Contender = {
  name: 'holdfast',
  init: (place) => command(place, ['init']),
  backup: (place, image, rangesFile) => command(place, ['backup', image, ...(rangesFile === null ? [] : ['--changed', rangesFile]), '--json']),
  proof: (place) => command(place, ['scrub', '--all', '--json']),
  restores: (place, _image, target) => {
    const file = path.join(target, 'disk.img');
    return [{ name: 'restore', command: command(place, ['restore', 'latest', '--to', file]), file }];
  },
};

/** Makes an image that is there equal to the newest backup. */
export const differentialCommand = (place: Place, file: string): Command => command(place, ['restore', 'latest', '--to', file, '--differential']);

/** Node runs the program itself, without a shell or npx in between, as `npx holdfast` does in the end. */
const command = (place: Place, args: readonly string[]): Command => ({
  program: process.execPath,
  args: [PROGRAM, ...args, '--vault', vaultAddress(place), '--key', path.join(place.own, 'key')],
  // Compiled code, kept from one run to the next as on a machine in use; in the bench's folder, so that nothing outside is written.
  env: { XDG_CACHE_HOME: path.join(BENCH_FOLDER, 'cache') },
});
