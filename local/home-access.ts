import { chmod, mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { newLocalToken } from '../access/local-token';

/** Whoever can read this folder may do everything with the home: its owner. */
export interface HomeAccess {
  /** Secret; a new one at each start. */
  readonly token: string;
  /** Holds the token and nothing else, for the app, for `curl`, and for a collector of metrics. */
  readonly tokenFile: string;
  /** Writes down which address the token is for, so that the command line shows it to that one alone. */
  serves(url: string): Promise<void>;
  /** With the home's end nobody takes the token any more. */
  remove(): Promise<void>;
}

/** Makes the token of this start in the state folder, for its owner's eyes only (mode 600 in a folder of mode 700). */
export async function makeAccess(stateFolder: string): Promise<HomeAccess> {
  const folder = accessFolder(stateFolder);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { mode: 0o700 });
  // The umask may have left less, and a folder on some file systems more.
  await chmod(folder, 0o700);
  const token = newLocalToken();
  const tokenFile = path.join(folder, 'token');
  const write = (file: string, text: string): Promise<void> => writeFile(file, `${text}\n`, { mode: 0o600 });
  await write(tokenFile, token);
  return {
    token, tokenFile,
    serves: (url) => write(path.join(folder, 'url'), url),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

/** Where a home keeps its token and address, within its state folder. */
const accessFolder = (stateFolder: string): string => path.join(stateFolder, 'access');
