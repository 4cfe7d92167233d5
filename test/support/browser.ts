import assert from 'node:assert/strict';
import { accessSync, constants, readFileSync } from 'node:fs';
import path from 'node:path';
import { type Browser, type CDPSession, chromium, type Page } from 'playwright-core';

/** Where a Chromium may be; CHROMIUM names another. */
const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

/** The program, or null where there is none. */
export function findChromium(): string | null {
  const named = process.env['CHROMIUM'];
  return (named === undefined || named === '' ? PLACES : [named]).find((file) => {
    try {
      accessSync(file, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  }) ?? null;
}

/** Starts it without a window. Root, as in a container, has no sandbox to offer. */
export const startChromium = (program: string): Promise<Browser> =>
  chromium.launch({ executablePath: program, args: [...(process.getuid?.() === 0 ? ['--no-sandbox'] : []), '--force-color-profile=srgb', '--font-render-hinting=none'] });

const AXE = readFileSync(path.join(path.dirname(require.resolve('axe-core/package.json')), 'axe.min.js'), 'utf8');
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

/** Within double quotes of a selector. */
const quoted = (text: string): string => text.replace(/["\\]/g, '\\$&');

interface Violation { readonly id: string; readonly help: string; readonly nodes: readonly { readonly html: string; readonly failureSummary: string }[] }

/** A page of the portal, and what went wrong in it. */
export class PortalPage {
  /** Errors and warnings of the console, exceptions, and what the policy of the page refused. */
  readonly troubles: string[] = [];
  /** Answers of the app that a test brings about on purpose: their lines in the console are no trouble. */
  readonly expected = new Set<number>();

  private constructor(readonly page: Page, private readonly devTools: CDPSession, readonly url: string) {
    page.on('console', (message) => {
      const status = Number(/the server responded with a status of (\d+)/.exec(message.text())?.[1] ?? 0);
      if (['error', 'warning'].includes(message.type()) && !this.expected.has(status)) this.troubles.push(`${message.type()}: ${message.text()} (${message.location().url})`);
    });
    page.on('pageerror', (error) => this.troubles.push(`exception: ${error.message}`));
    page.on('dialog', (dialog) => {
      this.troubles.push(`dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
  }

  /** Opens a page whose clock begins at `nowMs`. */
  static async open(browser: Browser, url: string, { nowMs, width = 1280, height = 900, theme = 'light' }: { nowMs: number; width?: number; height?: number; theme?: 'light' | 'dark' }): Promise<PortalPage> {
    const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme, locale: 'en-GB', timezoneId: 'Etc/UTC', reducedMotion: 'reduce' });
    const page = await context.newPage();
    page.setDefaultTimeout(90_000);
    await page.clock.install({ time: nowMs });
    return new PortalPage(page, await context.newCDPSession(page), url);
  }

  /** The value of an expression in the page. By the tools for developers, which the page's policy does not bind: it forbids to make code out of text. */
  async evaluate<T>(expression: string): Promise<T> {
    const { result, exceptionDetails } = await this.devTools.send('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true });
    if (exceptionDetails) throw new Error(`${expression.slice(0, 200)}: ${exceptionDetails.exception?.description ?? exceptionDetails.text}`);
    return result.value as T;
  }

  /** Signs in as the terminal says: with the token in the address. */
  async signIn(token: string): Promise<void> {
    await this.page.goto(`${this.url}/#token=${token}`);
    await this.settled();
  }

  /** Goes to a view, by its address within the page. */
  async show(hash: string): Promise<void> {
    await this.evaluate(`location.hash = ${JSON.stringify(hash)}`);
    await this.settled(hash);
  }

  /** Waits until everything that a view shows is there. */
  async settled(hash?: string): Promise<void> {
    const place = hash === undefined ? '' : `[data-place="${quoted(hash.replace(/^#\/?/, '').split('?')[0] ?? '')}"]`;
    await this.page.locator(`main${place} h1`).first().waitFor();
    await this.page.locator('.loading, [aria-busy="true"]').first().waitFor({ state: 'detached' });
  }

  text(): Promise<string> {
    return this.page.locator('main').innerText();
  }

  /** Waits until the view says so. */
  async says(text: string | RegExp): Promise<void> {
    await this.page.locator('main').getByText(text).first().waitFor();
  }

  button(name: string | RegExp): ReturnType<Page['getByRole']> {
    return this.page.getByRole('button', { name });
  }

  link(name: string | RegExp): ReturnType<Page['getByRole']> {
    return this.page.getByRole('link', { name });
  }

  /** Asserts that axe-core finds nothing in what is shown. */
  async assertAccessible(what: string): Promise<void> {
    if (!await this.evaluate<boolean>('"axe" in window')) await this.evaluate(`${AXE}; undefined`);
    const violations = await this.evaluate<readonly Violation[]>(`axe.run(document, { runOnly: ${JSON.stringify(RULES)}, resultTypes: ['violations'] }).then(({ violations }) => violations)`);
    assert.deepEqual(violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.slice(0, 3).map(({ html, failureSummary }) => `${html.slice(0, 200)} ${failureSummary}`).join(' | ')}`), [], what);
  }

  /** Asserts that nothing but tables scrolls sideways: at the width of a phone everything is to be reached by scrolling down. */
  async assertFits(what: string): Promise<void> {
    const [inner, outer] = await this.evaluate<[number, number]>('[document.documentElement.scrollWidth, document.documentElement.clientWidth]');
    assert.ok(inner <= outer, `${what} is ${inner} pixels wide, the window ${outer}`);
  }

  assertUntroubled(): void {
    assert.deepEqual(this.troubles, []);
  }

  close(): Promise<void> {
    return this.page.context().close();
  }
}
