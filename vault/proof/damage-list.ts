import type { ErrorReport } from '../../errors/holdfast-error';
import { isDamage } from './damage';

/** One thing that is wrong, however many windows of the disk it touches. */
export interface Damage {
  readonly code: ErrorReport['code'];
  readonly message: string;
  /** The pack that is at fault, as 32 hex digits, where one is. */
  readonly pack: string | null;
  /** Windows of 64 MiB of the disk that need what is damaged; 0 when it is a node above them, and all below it is lost. */
  readonly windows: number;
}

/** Adds up damage, so that a missing pack is one line and not one for each chunk in it. */
export class DamageList {
  private readonly found = new Map<string, { code: ErrorReport['code']; message: string; pack: string | null; windows: number }>();

  get damage(): Damage[] {
    return [...this.found.values()];
  }

  /** Adds what is wrong with one window; 0 for what is wrong above all windows. */
  addWindow(reports: readonly ErrorReport[], windows = 1): void {
    const keys = new Set<string>();
    for (const report of reports) keys.add(this.add(report));
    for (const key of keys) {
      const row = this.found.get(key);
      if (row) row.windows += windows;
    }
  }

  /** Takes damage of the tree up and goes on; throws everything else. */
  async collect(step: () => Promise<void>): Promise<void> {
    try {
      await step();
    } catch (error) {
      if (!isDamage(error)) throw error;
      this.add(error.toJSON());
    }
  }

  private add({ code, message, data }: ErrorReport): string {
    const pack = typeof data.pack === 'string' ? data.pack : null;
    const key = `${code} ${pack ?? message}`;
    if (!this.found.has(key)) this.found.set(key, { code, message, pack, windows: 0 });
    return key;
  }
}
