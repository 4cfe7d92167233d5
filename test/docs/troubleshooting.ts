import { catalogue, type CatalogueEntry } from '../../errors/catalogue';

/** Codes by what they are about: the beginning of the code decides, the first group that takes it counts. */
const GROUPS: readonly { readonly title: string; readonly about: string; readonly codes: RegExp }[] = [
  { title: 'Keys', about: 'The vault does not open, or its key could not be made.', codes: /^(KEY|PASSPHRASE)_/ },
  { title: 'The vault', about: 'What is wrong with the vault as a whole, or with what lies in it.', codes: /^(VAULT|DOCUMENT|PACK|NODE_DAMAGED|HISTORY|WRITE)/ },
  { title: 'The storage beneath the vault', about: 'The folder or the container did not do what was asked.', codes: /^STORE_/ },
  { title: 'Disks and images', about: 'What is backed up cannot be read as it should be.', codes: /^(SOURCE|IMAGE|RANGES)/ },
  { title: 'Retention, deletion and collection', about: 'What was not deleted, and why.', codes: /^(LAST_|RETENTION|RECOVERY_POINT_(DELETED|HELD|NOT_DUE)|HOLD_|CONFIRMATION|CLOCK_|COLLECTION|MAINTENANCE)/ },
  { title: 'Runs, recovery points and restores', about: 'Backups that may not run now, things that are not there, targets that cannot be written.', codes: /^(RUN|SLOT|RECOVERY|ITEM|DISK_NOT|DISK_AMBIGUOUS|TARGET|CANCELLED|JOB)/ },
  { title: 'Snapshots and machines', about: 'The snapshot or the machine is not as a backup needs it.', codes: /^(NOTHING|CONSISTENCY|SNAPSHOT|GUEST|MACHINE|DISK_(REPLACED|KEY|ENCRYPTION))/ },
  { title: 'Azure', about: 'Azure, or the stand-in, refused or failed.', codes: /^CLOUD_/ },
  { title: 'Who may do what', about: 'The HTTP API does not know the caller, or the caller may not do this; who did what.', codes: /^(UNAUTHENTICATED|FORBIDDEN|AUDIT|APPROVAL|TOO_MANY_REFUSALS|IDENTITY|REQUEST_(FOREIGN|LIMIT))/ },
  { title: 'Policies, requests and settings', about: 'Something that a person wrote is wrong.', codes: /^(POLICY|REQUEST|PORTAL|SETTING|USAGE)/ },
  { title: 'The local home', about: 'The embedded host and the stand-in for Azure.', codes: /^(HOST|STANDIN|PORT)/ },
  { title: 'Anything else', about: 'What fits nowhere else.', codes: /^/ },
];

const HEAD = `# Troubleshooting

<!-- Made from errors/catalogue.ts by test/docs/troubleshooting.ts. Change the catalogue, then run npm run docs:errors -->

Every failure has a code. The terminal shows what happened this time and what to do; \`--json\`, the HTTP API (\`code\` in the
problem details) and a job's \`error\` have the code as well. Look it up here. The exit code is that of the command line; the
status is that of the HTTP API.

Three things hold whatever fails: a failed run changes no earlier recovery point, nothing half-done of it is visible, and running
the same thing again is safe.

Set \`HOLDFAST_DEBUG=1\` to see the stack of a failure.
`;

/** The page docs/troubleshooting.md as it must be. */
export function troubleshootingPage(): string {
  const left = new Map(Object.entries(catalogue as Readonly<Record<string, CatalogueEntry>>));
  const parts = [HEAD];
  for (const { title, about, codes } of GROUPS) {
    const found = [...left].filter(([code]) => codes.test(code)).sort(([a], [b]) => (a < b ? -1 : 1));
    if (found.length === 0) continue;
    for (const [code] of found) left.delete(code);
    const rows = found.map(([code, entry]) => `| <a id="${code.toLowerCase()}"></a>\`${code}\` | ${cell(entry.title)} | ${cell(entry.remedy)} | ${entry.exitCode} | ${entry.status} |`);
    parts.push(`## ${title}\n\n${about}\n\n| code | what it means | what to do | exit | HTTP |\n|---|---|---|---|---|\n${rows.join('\n')}\n`);
  }
  return parts.join('\n');
}

const cell = (text: string): string => text.replaceAll('|', '\\|');
