import path from 'node:path';
import { emulatorKey } from '../azure/blob/blob-access';
import type { Contender, Place } from './contender';
import { type Command, firstLine } from './process';

/** What `restic version` says, or null where restic is not installed. */
export const resticVersion = (): Promise<string | null> => firstLine('restic', ['version']);

/**
 * restic as it comes: repository version 2, compression `auto`, its cache in the bench's folder so that nothing outside is touched.
 * Its azure backend takes the account name of the emulator as a sign to use 127.0.0.1:10000 (tried with restic 0.14).
 */
export const restic: Contender = {
  name: 'restic',
  init: (place) => command(place, ['init']),
  backup: (place, image) => command(place, ['backup', image]),
  proof: (place) => command(place, ['check', '--read-data']),
  restores: (place, image, target) => [
    { name: 'restore', command: command(place, ['restore', 'latest', '--target', target]), file: path.join(target, image) },
    { name: 'dump', command: { ...command(place, ['dump', 'latest', image]), outputFile: path.join(target, 'dump.img') }, file: path.join(target, 'dump.img') },
  ],
};

const command = (place: Place, args: readonly string[]): Command => ({
  program: 'restic',
  args: ['-r', place.kind === 'folder' ? place.store : `azure:${place.container}:/`, '--cache-dir', path.join(place.own, 'cache'), ...args],
  env: {
    // Guards a repository that is thrown away at the end of the run.
    RESTIC_PASSWORD: 'bench',
    ...(place.kind === 'azurite' ? { AZURE_ACCOUNT_NAME: 'devstoreaccount1', AZURE_ACCOUNT_KEY: emulatorKey } : {}),
  },
});
