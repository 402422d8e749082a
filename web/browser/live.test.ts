import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { Browser, BrowserContextOptions } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { DESKTOP, launch, PHONE, Visit } from './visit';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PYTHON = process.env.FACECCTV_PYTHON ?? `${ROOT}/.venv/bin/python`;
const ENV = { ...process.env, PYTHONPATH: `${ROOT}/src`, FACECCTV_PASSPHRASE: 'correct horse' };
const LONG = 180_000; // milliseconds: people have to walk by
const SLOW = { timeout: 60_000 };
const ADDRESS = /http:\S+#\/live/g;

let browser: Browser;
let folder: string;
let feeding: ChildProcess;
let list: string;
beforeAll(async () => {
  browser = await launch();
  folder = mkdtempSync(`${tmpdir()}/facecctv-live-`);
  list = `${folder}/people.fwl`;
  feeding = spawn(PYTHON, [`${ROOT}/web/browser/cameras.py`, folder], { env: ENV });
  while (!existsSync(`${folder}/ann.png`)) {
    if (feeding.exitCode !== null) throw new Error('the cameras did not start');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const facecctv = (...words: string[]) =>
    execFileSync(PYTHON, ['-m', 'facecctv', 'watchlist', ...words], { cwd: ROOT, env: ENV });
  facecctv('create', list, '--purpose', 'theft', '--owner', 'J. Doe');
  facecctv('add', list, 'Ann Lee', `${folder}/ann.png`, '--expires', '2999-01-01');
}, LONG);
const watches: Watch[] = [];
afterEach(async () => {
  for (const watch of watches.splice(0)) await watch.end();
});
const begun = (...options: string[]) => {
  const watch = new Watch(...options);
  watches.push(watch);
  return watch;
};
afterAll(async () => {
  feeding.kill();
  await browser.close();
  rmSync(folder, { recursive: true });
});

const origin = (address: string) => new URL(address).origin as `http://${string}`;

/** A watch with a page: of a camera, one that shows nothing and one that is not there. */
class Watch {
  readonly #process: ChildProcess;
  #said = '';

  constructor(...options: string[]) {
    const cameras = [`${folder}/door`, `${folder}/yard`, 'http://me:hunter2@127.0.0.1:1/?key=abc'];
    this.#process = spawn(
      PYTHON,
      ['-m', 'facecctv', 'watch', ...cameras, '--page', ...options],
      // The settings of whoever runs the tests are neither read nor changed.
      { cwd: ROOT, env: { ...ENV, XDG_CONFIG_HOME: mkdtempSync(`${folder}/settings-`) } },
    );
    this.#process.stderr!.on('data', (data: Buffer) => (this.#said += data.toString()));
  }

  /** The newest address, which lets in one browser. */
  async address(): Promise<string> {
    await expect.poll(() => this.#said.match(ADDRESS)?.length ?? 0, SLOW).toBeGreaterThan(0);
    return this.#said.match(ADDRESS)!.at(-1)!;
  }

  async enter(options: BrowserContextOptions): Promise<Visit> {
    const address = await this.address();
    const visit = await Visit.open(browser, options, origin(address));
    await visit.page.goto(address);
    await visit.page.getByRole('heading', { name: 'Live', level: 1 }).waitFor();
    return visit;
  }

  async end(): Promise<void> {
    if (this.#process.exitCode !== null) return;
    const ended = new Promise((resolve) => this.#process.once('exit', resolve));
    this.#process.kill('SIGINT');
    await ended;
    expect(this.#process.exitCode).toBe(0);
    expect(this.#said).not.toContain('hunter2');
  }
}

test.each([
  ['desktop-light', DESKTOP, 'light'],
  ['phone-dark', PHONE, 'dark'],
] as const)(
  'cameras and events are seen until the watch ends on %s',
  async (look, viewport, colorScheme) => {
    const watch = begun('--watchlist', list);
    const visit = await watch.enter({ viewport, colorScheme });
    const { page } = visit;
    const cameras = page.getByTestId('camera');
    await cameras.nth(2).getByText('Lost', { exact: true }).waitFor();
    await cameras.nth(1).getByText('Connecting', { exact: true }).waitFor();
    await cameras.nth(0).getByText('Watching', { exact: true }).waitFor(SLOW);

    // The picture is that of the camera, and another after a while.
    const picture = cameras.nth(0).getByRole('img');
    await picture.waitFor();
    const source = () => picture.getAttribute('src');
    const first = await source();
    await expect
      .poll(() => picture.evaluate((one: HTMLImageElement) => one.naturalWidth))
      .toBe(960);
    await expect.poll(source, SLOW).not.toBe(first);

    // Whoever is on the list is named as somebody it may be, with the sight that says so.
    const match = page.locator('[data-event=matched]').first();
    await match.getByText('May be Ann Lee').waitFor(SLOW);
    await match.getByText(/Strangers so alike/).waitFor();
    await match.scrollIntoViewIfNeeded();
    await match.getByRole('img').waitFor(SLOW);
    await page.evaluate(() => scrollTo(0, 0));
    await visit.accessible();
    await visit.fits();
    await visit.shot(`live-${look}`);
    expect(await page.content()).not.toMatch(/hunter2|key=abc/);

    // One camera large, where there is room for two.
    if (viewport === DESKTOP) {
      const width = async () => (await cameras.nth(0).boundingBox())!.width;
      const small = await width();
      await page.getByRole('button', { name: 'Camera 1: Show larger' }).click();
      expect(await width()).toBeGreaterThan(1.9 * small);
      await page.getByRole('button', { name: 'Camera 1: Show smaller' }).click();
      expect(await width()).toBe(small);
    }

    // Only what fits the choice.
    const events = page.getByTestId('event');
    await page.getByLabel('Only who may be on the list').check();
    await expect.poll(() => page.locator('[data-event=camera]').count()).toBe(0);
    await page.getByLabel('Camera', { exact: true }).selectOption('3');
    await page.getByText('No event fits this choice.').waitFor();
    await page.getByLabel('Only who may be on the list').uncheck();
    await expect.poll(() => page.locator('[data-event=appeared]').count()).toBe(0);
    expect(await events.count()).toBeGreaterThan(0);
    await page.getByLabel('Camera', { exact: true }).selectOption('0');

    // Paused, nothing moves and nothing is asked for.
    await page.getByRole('button', { name: 'Pause' }).press('Enter');
    await page.getByTestId('paused').waitFor();
    const count = await events.count();
    await page.getByText(/Watching goes on: \d+ new event/).waitFor(SLOW);
    expect(await events.count()).toBe(count);
    await visit.accessible();
    await page.getByRole('button', { name: 'Go on' }).click();
    await expect.poll(() => events.count()).toBeGreaterThan(count);

    // No picture is asked for by a tab that nobody sees.
    const asked: string[] = [];
    page.on('request', (request) => asked.push(request.url()));
    await page.evaluate(() => {
      Object.defineProperty(document, 'hidden', { value: true, configurable: true });
      document.dispatchEvent(new Event('visibilitychange'));
    });
    await page.waitForTimeout(500);
    asked.length = 0;
    await page.waitForTimeout(2500);
    expect(asked.filter((url) => url.endsWith('/picture'))).toEqual([]);

    await watch.end();
    await page.getByText('The watch has ended').waitFor();
    await page.evaluate(() => scrollTo(0, 0));
    await visit.accessible();
    await visit.fits();
    await visit.shot(`live-ended-${look}`);
    await visit.close();
  },
  LONG,
);

test(
  'without a list nobody is named, in German too, and each address lets in one browser',
  async () => {
    const watch = begun();
    const used = await watch.address();
    const visit = await watch.enter({ locale: 'de-DE' });
    const { page } = visit;
    await page.getByText('Verloren', { exact: true }).waitFor();
    await page.locator('[data-event=appeared]').first().waitFor(SLOW);
    expect(await page.getByText(/Vielleicht/).count()).toBe(0);
    await visit.fits();
    await visit.close();
    expect((await fetch(used)).status).toBe(401);
    expect(await watch.address()).not.toBe(used);
    await watch.end();
  },
  LONG,
);

test('where no camera is watched the page says how to', async () => {
  const visit = await Visit.open(browser);
  await visit.go('#/live');
  await visit.page.getByRole('heading', { name: 'No camera is watched here' }).waitFor();
  expect(await visit.page.getByRole('link', { name: 'Live' }).count()).toBe(0);
  await visit.accessible();
  await visit.close();
});
