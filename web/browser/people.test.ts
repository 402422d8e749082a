import type { Browser, BrowserContextOptions } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DESKTOP, launch, PHONE, Visit } from './visit';

let browser: Browser;
beforeAll(async () => void (browser = await launch()));
afterAll(() => browser.close());

const LONG = 180_000; // milliseconds: several pictures in one visit
const LOOKS = [
  ['desktop-light', DESKTOP, 'light'],
  ['phone-dark', PHONE, 'dark'],
] as const;

const open = (options: BrowserContextOptions = {}) => Visit.open(browser, options, 'listing');
const jpeg = (name: string, data: Buffer) => ({ name, type: 'image/jpeg', data });

/** The left half of a demo scene's largest face, or something without a face. */
async function portrait(visit: Visit, plain = false): Promise<Buffer> {
  const data = await visit.page.evaluate(async (plain) => {
    const scenes = (await (await fetch('/v1/demo')).json()) as {
      name: string;
      faces: { x_min: number; y_min: number; x_max: number; y_max: number }[];
    }[];
    const hall = scenes.find(({ name }) => name === 'hall')!;
    const box = hall.faces.reduce((a, b) => (b.y_max - b.y_min > a.y_max - a.y_min ? b : a));
    const bitmap = await createImageBitmap(await (await fetch('/v1/demo/hall')).blob());
    const [width, height] = [box.x_max - box.x_min, box.y_max - box.y_min];
    const canvas = new OffscreenCanvas(2 * width, 2 * height);
    const context = canvas.getContext('2d')!;
    if (!plain) context.drawImage(bitmap, width / 2 - box.x_min, height / 2 - box.y_min);
    const bytes = new Uint8Array(
      await (await canvas.convertToBlob({ type: 'image/jpeg' })).arrayBuffer(),
    );
    return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''));
  }, plain);
  return Buffer.from(data, 'base64');
}

test.each(LOOKS)(
  'two pictures are compared in plain words on %s',
  async (look, viewport, scheme) => {
    const visit = await open({ viewport, colorScheme: scheme });
    await visit.go('#/compare');
    await visit.page.getByRole('heading', { name: 'Compare two faces' }).waitFor();
    await visit.accessible();
    await visit.fits();
    const face = await portrait(visit);
    await visit.drop([jpeg('a.jpg', face)]);
    await visit.drop([jpeg('hall.jpg', await visit.scene('hall'))]);
    const verdict = visit.page.getByTestId('verdict');
    await verdict.waitFor();
    await verdict.getByText('a person decides').waitFor();
    const second = visit.page.getByTestId('side').nth(1);
    const faces = second.getByRole('radio');
    expect(await faces.count()).toBeGreaterThan(1);
    await faces.first().focus();
    await visit.page.keyboard.press('ArrowDown');
    expect(await faces.nth(1).isChecked()).toBe(true);
    await verdict.waitFor();
    await visit.accessible();
    await visit.fits();
    await visit.shot(`compare-${look}`);
    await visit.page.getByRole('button', { name: 'Take another picture' }).first().click();
    await verdict.waitFor({ state: 'detached' });
    await visit.drop([jpeg('wall.jpg', await portrait(visit, true))]);
    await visit.page.getByText('No face was found in this picture').waitFor();
    await visit.close();
  },
  LONG,
);

test.each(LOOKS)(
  'somebody is enrolled, found and removed on %s',
  async (look, viewport, scheme) => {
    const visit = await open({ viewport, colorScheme: scheme });
    const { page } = visit;
    await visit.go('#/watchlist');
    await page.getByRole('heading', { name: 'Nobody is on the list' }).waitFor();
    await visit.accessible();
    await visit.fits();
    const face = await portrait(visit);
    const picture = { name: 'a.jpg', mimeType: 'image/jpeg', buffer: face };
    const wall = { ...picture, buffer: await portrait(visit, true) };
    await page.getByLabel('Name', { exact: true }).fill('Ann Lee');
    await page.getByLabel('Picture with one face').setInputFiles(wall);
    await page.getByRole('button', { name: 'Put on the list' }).click();
    await page.getByText('No face was found in the picture', { exact: true }).waitFor();
    await page.getByLabel('Picture with one face').setInputFiles(picture);
    await page.getByRole('button', { name: 'Put on the list' }).click();
    await page.getByText('Ann Lee is on the list now').waitFor();
    await page.getByLabel('Reason, for the log').fill('theft');
    await visit.drop([jpeg('door.jpg', face)]);
    const found = page.getByTestId('searched');
    await found.getByText('Ann Lee').waitFor();
    expect(await found.getAttribute('data-decision')).toBe('match');
    await visit.accessible();
    await visit.fits();
    await visit.shot(`watchlist-${look}`);
    await page.getByRole('button', { name: 'Remove: Ann Lee' }).click();
    await page.getByRole('button', { name: 'Remove for good' }).click();
    await page.getByText('Ann Lee was removed').waitFor();
    await page.getByRole('heading', { name: 'Nobody is on the list' }).waitFor();
    await visit.close();
  },
  LONG,
);

test('without a list there is no page of it', async () => {
  const visit = await Visit.open(browser);
  await visit.go('#/watchlist');
  await visit.page.getByRole('heading', { name: 'Not installed on this server' }).waitFor();
  expect(await visit.page.getByRole('link', { name: 'Watch-list' }).count()).toBe(0);
  await visit.close();
});

test('both pages speak German', async () => {
  const visit = await open({ locale: 'de-DE' });
  await visit.go('#/compare');
  await visit.page.getByRole('heading', { name: 'Zwei Gesichter vergleichen' }).waitFor();
  await visit.go('#/watchlist');
  await visit.page.getByRole('heading', { name: 'Wer ist das?' }).waitFor();
  await visit.close();
});
