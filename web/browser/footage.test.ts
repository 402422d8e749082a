import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DESKTOP, launch, PHONE, Visit } from './visit';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PYTHON = process.env.FACECCTV_PYTHON ?? `${ROOT}/.venv/bin/python`;
const LONG = 10 * 60_000; // milliseconds: a video is gone through four times
const SLOW = { timeout: LONG };

let browser: Browser;
let folder: string;
let clip: string;
beforeAll(async () => {
  browser = await launch();
  folder = mkdtempSync(`${tmpdir()}/facecctv-clip-`);
  clip = `${folder}/door.mp4`;
  const env = { ...process.env, PYTHONPATH: `${ROOT}/src` };
  execFileSync(PYTHON, [`${ROOT}/web/browser/clip.py`, clip], { env });
}, LONG);
afterAll(async () => {
  await browser.close();
  rmSync(folder, { recursive: true });
});

const timeOf = (page: Page) =>
  page
    .locator('video')
    .first()
    .evaluate((v: HTMLVideoElement) => v.currentTime);

test.each([
  ['desktop-light', DESKTOP, 'light'],
  ['phone-dark', PHONE, 'dark'],
] as const)(
  'everybody in a video is found, corrected by hand and covered on %s',
  async (look, viewport, colorScheme) => {
    const visit = await Visit.open(browser, { viewport, colorScheme }, 'enhancing');
    const { page } = visit;
    await visit.go('#/footage');
    await page.getByRole('heading', { name: 'Everybody in a video, once' }).waitFor();
    await visit.accessible();
    await visit.fits();
    await visit.shot(`footage-empty-${look}`);

    // What is no video is refused, and another can be taken.
    const text = { name: 'notes.mp4', mimeType: 'video/mp4', buffer: Buffer.from('no video') };
    await page.getByTestId('picker').setInputFiles(text);
    await page.getByText('This is not a video that can be read').waitFor();
    await visit.accessible();
    await page.getByRole('button', { name: 'Remove' }).click();

    await page.getByTestId('picker').setInputFiles(clip);
    await page.getByTestId('job').waitFor(SLOW);
    await page.getByRole('button', { name: 'Pause' }).click();
    await page.getByText('Paused', { exact: true }).waitFor();
    await visit.accessible();
    await visit.shot(`footage-working-${look}`);
    await page.getByRole('button', { name: 'Go on' }).click();

    await page.getByRole('heading', { name: '2 people' }).waitFor(SLOW);
    const people = page.getByTestId('person');
    expect(await people.count()).toBe(2);
    await people.nth(1).getByRole('img').nth(1).waitFor();
    await visit.accessible();
    await visit.fits();
    await visit.shot(`footage-${look}`);

    // A bar of the timeline leads to its place, by keyboard too.
    const bar = page.getByTestId('timeline').getByRole('button').nth(1);
    await bar.focus();
    await page.keyboard.press('Enter');
    await expect.poll(() => timeOf(page), SLOW).toBeGreaterThan(0.5);

    // Joined by hand and parted again.
    for (const number of [1, 2]) await page.getByLabel(`Select: Person ${number}`).check();
    await page.getByRole('button', { name: 'They are one person' }).click();
    await page.getByRole('heading', { name: '1 person' }).waitFor(SLOW);
    await page
      .getByRole('button', { name: /somebody else$/ })
      .nth(1)
      .click();
    await page.getByRole('heading', { name: '2 people' }).waitFor(SLOW);

    const saved = page.waitForEvent('download', SLOW);
    await page.getByRole('button', { name: 'Save all' }).click();
    expect((await saved).suggestedFilename()).toBe('door-people.zip');

    await page.getByRole('button', { name: 'Cover faces' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText('Mosaic', { exact: true }).click();
    await dialog.getByText('All but chosen people').click();
    await dialog.getByLabel('Person 1').check();
    await visit.accessible();
    await visit.shot(`footage-dialog-${look}`, false);
    await dialog.getByText('Everybody', { exact: true }).click();
    await dialog.getByText('Solid', { exact: true }).click();
    await dialog.getByRole('button', { name: 'Cover', exact: true }).click();
    const covered = page.getByTestId('covered');
    await covered.waitFor(SLOW);
    await covered.getByText(/of the faces that were found are covered/).waitFor();
    await visit.accessible();
    await visit.fits();
    await visit.shot(`footage-covered-${look}`);
    const video = page.waitForEvent('download', SLOW);
    await covered.getByRole('button', { name: 'Save covered video' }).click();
    expect((await video).suggestedFilename()).toBe('door-redacted.mp4');
    const file = readFileSync(await (await video).path());
    expect(file.subarray(4, 8).toString()).toBe('ftyp');

    // Removed here, it is gone from the server too.
    await page.getByRole('button', { name: 'Remove' }).click();
    await page.getByTestId('drop').waitFor();
    await expect
      .poll(
        async () =>
          (await (await fetch(`${visit.server}/metrics`)).text()).match(
            /^facecctv_jobs (\d+)/m,
          )?.[1],
        SLOW,
      )
      .toBe('0');
    await visit.close();
  },
  LONG,
);
