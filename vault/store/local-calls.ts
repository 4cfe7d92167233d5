import { statfs } from 'node:fs/promises';
import { performance } from 'node:perf_hooks';
import { setImmediate } from 'node:timers/promises';

/** Types of file systems on disks of this machine, as statfs(2) names them: ext2 to ext4, XFS, Btrfs, tmpfs, overlayfs, F2FS, ZFS. */
const LOCAL_TYPES: ReadonlySet<number> = new Set([0xEF53, 0x58465342, 0x9123683E, 0x01021994, 0x794C7630, 0xF2F52010, 0x2FC12FC1]);
/** Everything else in the process waits for a blocking call, so after so long the others have their turn. */
const TURN_MS = 10;

/**
 * Small calls of a file system on a disk of this machine take microseconds, and handing each to a thread and back takes ten times as long (docs/decisions/small-files.md).
 * This makes them directly, and lets the rest of the process have its turn. Never on a network share, where one call that is not answered would stop everything.
 */
export class LocalCalls {
  private turnMs: number;

  constructor(private readonly isLocal: boolean, private readonly nowMs: () => number = () => performance.now()) {
    this.turnMs = nowMs();
  }

  static async of(path: string): Promise<LocalCalls> {
    return new LocalCalls(process.platform === 'linux' && LOCAL_TYPES.has((await statfs(path)).type));
  }

  /** The answer of `direct`, which blocks, where that is harmless; else that of `queued`, over the thread pool. */
  async run<T>(direct: () => T, queued: () => Promise<T>): Promise<T> {
    if (!this.isLocal) return queued();
    if (this.nowMs() - this.turnMs > TURN_MS) {
      await setImmediate();
      this.turnMs = this.nowMs();
    }
    return direct();
  }
}
