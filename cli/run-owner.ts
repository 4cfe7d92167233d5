import { createHash } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

/**
 * Who runs a backup: `process:<host>:<pid>:<start time>:<boot>:<pid namespace>:<machine>`. The start time is in clock ticks
 * since the boot (proc_pid_stat(5), field 22), so that a later process with the same pid is another owner. What this
 * system does not tell is an empty part.
 */
export function processOwner(): string {
  return ['process', hostname().replace(/:/g, '-'), process.pid, startTicks(process.pid) ?? '', bootId(), pidNamespace(), machineId()].join(':');
}

/**
 * True only when the process certainly runs no more: it ran on this machine, and either before its last boot or in
 * the same process namespace, where its pid is free or taken by a process that started at another time. Anything else
 * may be alive elsewhere.
 */
export function isOwnerGone(owner: string): boolean {
  const [kind, host, pidText, start, boot, namespace, machine] = owner.split(':');
  const pid = Number(pidText);
  if (kind !== 'process' || host !== hostname().replace(/:/g, '-') || !Number.isSafeInteger(pid) || pid <= 0) return false;
  if (boot === '' || boot === undefined || bootId() === '') return machine === machineId() && !isAlive(pid);
  // Two machines may have one name; their boots alone do not tell a restart from a neighbour.
  if (boot !== bootId()) return machine !== undefined && machine !== '' && machine === machineId();
  if (namespace !== pidNamespace()) return false;
  return !isAlive(pid) || startTicks(pid) !== start;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it runs, as someone else.
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

const orEmpty = (read: () => string): string => {
  try {
    return read().trim();
  } catch {
    // No such file: not Linux, or a container that hides it.
    return '';
  }
};

function startTicks(pid: number): string | undefined {
  const stat = orEmpty(() => readFileSync(`/proc/${pid}/stat`, 'utf8'));
  // The second field is the program's name in parentheses, and may hold anything, also parentheses and blanks.
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
}

const bootId = (): string => orEmpty(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8'));
const pidNamespace = (): string => /\d+/.exec(orEmpty(() => readlinkSync('/proc/self/ns/pid')))?.[0] ?? '';

/** machine-id(5) asks not to be shown as it is. */
function machineId(): string {
  const id = orEmpty(() => readFileSync('/etc/machine-id', 'utf8'));
  return id === '' ? '' : createHash('sha256').update(`holdfast ${id}`).digest('hex').slice(0, 16);
}
