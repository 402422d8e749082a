import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core';
import { expect, inject } from 'vitest';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const SHOTS = process.env.SCREENSHOTS;
const FLAGS = [
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--use-fake-ui-for-media-stream',
  '--use-fake-device-for-media-stream',
];

export const DESKTOP = { width: 1280, height: 800 };
/** As narrow as phones of today get. */
export const PHONE = { width: 360, height: 780 };

export function launch(): Promise<Browser> {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    chromiumSandbox: process.getuid?.() !== 0, // which root cannot have
    args: FLAGS,
  });
}

/** A fresh visitor. Whatever the page asks of other hosts, and whatever it complains of, is kept. */
export class Visit {
  readonly foreign: string[] = [];
  readonly complaints: string[] = [];

  private constructor(
    readonly page: Page,
    readonly server: string,
  ) {
    page.on('request', (request) => {
      if (!/^(data|blob):/.test(request.url()) && new URL(request.url()).origin !== server)
        this.foreign.push(request.url());
    });
    page.on('pageerror', (error) => this.complaints.push(String(error)));
    page.on('console', (message) => {
      // A status of 400 or more is logged by the browser itself; tests look at the page for it.
      if (message.type() === 'error' && !/Failed to load resource/.test(message.text()))
        this.complaints.push(message.text());
    });
  }

  static async open(
    browser: Browser,
    options: BrowserContextOptions = {},
    server: 'server' | 'enhancing' | 'listing' | `http://${string}` = 'server',
  ): Promise<Visit> {
    const context = await browser.newContext({ viewport: DESKTOP, locale: 'en-GB', ...options });
    context.setDefaultTimeout(30_000);
    const address = server.startsWith('http:') ? server : inject(server as 'server');
    return new Visit(await context.newPage(), address);
  }

  async go(hash = '#/'): Promise<void> {
    await this.page.goto(`${this.server}/${hash}`);
    await this.page.waitForFunction(() => document.querySelector('h1') !== null);
  }

  /** What fades in is there: half way, its contrast is no one's. Spinners go on for ever. */
  async settled(): Promise<void> {
    await this.page.waitForFunction(() =>
      document
        .getAnimations()
        .every(
          ({ effect, playState }) =>
            playState !== 'running' || effect?.getComputedTiming().endTime === Infinity,
        ),
    );
  }

  /** No serious or critical barrier in what is on the screen now. */
  async accessible(): Promise<void> {
    await this.settled();
    // By the debugger's protocol: the page's own policy would not let the script in.
    await this.page.evaluate(AXE);
    const found = await this.page.evaluate(async () => {
      const { axe } = window as unknown as { axe: typeof import('axe-core') };
      const { violations } = await axe.run(document, {
        resultTypes: ['violations'],
        runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
      });
      return violations
        .filter(({ impact }) => impact === 'serious' || impact === 'critical')
        .map(
          ({ id, nodes }) =>
            `${id}: ${nodes.map((node) => `${node.html} ${node.any[0]?.message}`).join(' | ')}`,
        );
    });
    expect(found).toEqual([]);
  }

  /** Nothing is cut off or scrolls sideways. */
  async fits(): Promise<void> {
    const over = await this.page.evaluate(
      () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
    );
    expect(over).toBeLessThanOrEqual(0);
  }

  async shot(name: string, fullPage = true): Promise<void> {
    if (!SHOTS) return;
    mkdirSync(SHOTS, { recursive: true });
    await this.page.screenshot({ path: `${SHOTS}/${name}.png`, fullPage });
  }

  /** Ends the visit; nothing went elsewhere and nothing was complained of. */
  async close(): Promise<void> {
    await this.page.context().close();
    expect(this.foreign).toEqual([]);
    expect(this.complaints).toEqual([]);
  }

  /** The demo scene as a file. */
  async scene(name = 'recorder'): Promise<Buffer> {
    return Buffer.from(await (await fetch(`${this.server}/v1/demo/${name}`)).arrayBuffer());
  }

  /** Drops files on the page as a file manager would. */
  async drop(files: { name: string; type: string; data: Buffer }[]): Promise<void> {
    const sent = files.map(({ name, type, data }) => ({
      name,
      type,
      data: data.toString('base64'),
    }));
    const transfer = await this.page.evaluateHandle((list) => {
      const transfer = new DataTransfer();
      for (const { name, type, data } of list) {
        const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
        transfer.items.add(new File([bytes], name, { type }));
      }
      return transfer;
    }, sent);
    await this.page.dispatchEvent('[data-testid=drop]', 'drop', { dataTransfer: transfer });
  }
}
