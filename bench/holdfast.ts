import path from 'node:path';
import { AZURITE_PORT } from './azurite';
import type { Contender, Place } from './contender';
import { BENCH_FOLDER, ROOT } from './options';
import type { Command } from './process';

/** What stands for Holdfast: 'command-line' runs what a user runs; 'driver' is bench/driver.ts, with the same arguments. */
const HOLDFAST_PROGRAM: 'command-line' | 'driver' = 'driver';

const PROGRAMS = { 'command-line': path.join(ROOT, 'bin', 'holdfast.js'), driver: path.join(ROOT, 'dist', 'bench', 'driver.js') } as const;

export const holdfastProgram = { kind: HOLDFAST_PROGRAM, path: PROGRAMS[HOLDFAST_PROGRAM] } as const;

export const vaultAddress = (place: Place): string =>
  place.kind === 'folder' ? place.store : `http://127.0.0.1:${AZURITE_PORT}/devstoreaccount1/${place.container}`;

export const holdfast: Contender = {
  name: 'holdfast',
  init: (place) => command(place, ['init']),
  backup: (place, image, rangesFile) => command(place, ['backup', image, ...(rangesFile === null ? [] : ['--changed', rangesFile]), '--json']),
  restores: (place, _image, target) => {
    const file = path.join(target, 'disk.img');
    return [{ name: 'restore', command: command(place, ['restore', 'latest', '--to', file]), file }];
  },
};

/** Node runs the program itself, without a shell or npx in between, as `npx holdfast` does in the end. */
const command = (place: Place, args: readonly string[]): Command => ({
  program: process.execPath,
  args: [holdfastProgram.path, ...args, '--vault', vaultAddress(place), '--key', path.join(place.own, 'key')],
  // Compiled code, kept from one run to the next as on a machine in use; in the bench's folder, so that nothing outside is written.
  env: { XDG_CACHE_HOME: path.join(BENCH_FOLDER, 'cache') },
});
