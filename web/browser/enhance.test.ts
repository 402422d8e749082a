import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Browser, BrowserContextOptions, Download, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DESKTOP, launch, PHONE, Visit } from './visit';

let browser: Browser;
beforeAll(async () => void (browser = await launch()));
afterAll(() => browser.close());

const NARROW = { width: 360, height: 740 };
const LOOKS = [
  ['desktop-light', DESKTOP, 'light'],
  ['desktop-dark', DESKTOP, 'dark'],
  ['phone-light', PHONE, 'light'],
  ['phone-dark', NARROW, 'dark'],
] as const;

const LONG = 180_000; // milliseconds: several looks in one visit

const open = (options: BrowserContextOptions = {}) => Visit.open(browser, options, 'enhancing');

/** A demo scene, small, so that enhancing it takes no time; grey where wished. */
async function picture(visit: Visit, filter = 'none', name = 'hall'): Promise<Buffer> {
  const data = await visit.page.evaluate(
    async ([url, filter]) => {
      const bitmap = await createImageBitmap(await (await fetch(url!)).blob());
      const canvas = new OffscreenCanvas(bitmap.width / 3, bitmap.height / 3);
      const context = canvas.getContext('2d')!;
      context.filter = filter!;
      context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
      const bytes = new Uint8Array(await (await canvas.convertToBlob()).arrayBuffer());
      return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''));
    },
    [`/v1/demo/${name}`, filter],
  );
  return Buffer.from(data, 'base64');
}

async function put(visit: Visit, filter?: string): Promise<void> {
  await visit.go('#/enhance');
  await visit.page.getByRole('heading', { name: 'Enhance a picture' }).waitFor();
  const data = await picture(visit, filter);
  await visit.drop([{ name: 'door.png', type: 'image/png', data }]);
}

const done = (page: Page) => page.getByRole('button', { name: 'Save picture (PNG)' }).waitFor();

async function contents(download: Promise<Download>): Promise<[string, Buffer]> {
  const file = await download;
  return [file.suggestedFilename(), readFileSync(await file.path())];
}

test.each(LOOKS)(
  'a dropped picture is enhanced and marked on %s',
  async (look, viewport, scheme) => {
    const visit = await open({ viewport, colorScheme: scheme });
    await visit.go('#/enhance');
    await visit.page.getByRole('heading', { name: 'Enhance a picture' }).waitFor();
    await visit.accessible();
    await visit.fits();
    await visit.shot(`enhance-empty-${look}`);
    await put(visit);
    await done(visit.page);
    await visit.page.getByTestId('marks').getByText('Enhanced (learned)').waitFor();
    expect(await visit.page.getByTestId('drift').count()).toBeGreaterThan(0);
    await visit.accessible();
    await visit.fits();
    await visit.shot(`enhance-${look}`);

    const divide = visit.page.getByRole('slider', { name: 'Position of the divide' });
    await divide.focus();
    for (let step = 0; step < 5; step++) await divide.press('ArrowLeft');
    expect(await divide.inputValue()).toBe('45');
    expect(await divide.getAttribute('aria-valuetext')).toBe('45% shows the picture before');
    await divide.press('End');
    expect(await divide.inputValue()).toBe('100');

    await visit.page.getByText('What was added', { exact: true }).click();
    await visit.page.getByAltText('What was changed in the picture').waitFor();
    await visit.accessible();
    await visit.shot(`enhance-change-${look}`, false);

    await visit.page.getByText('Steps of your own').click();
    await visit.page.getByTestId('step').nth(1).waitFor();
    await visit.page.getByText('Settings of this step').first().click();
    await visit.accessible();
    await visit.fits();
    await visit.shot(`enhance-steps-${look}`);
    await visit.close();
  },
  LONG,
);

test('the picture is saved with the very bytes that its record names', async () => {
  const visit = await open();
  await put(visit);
  await done(visit.page);
  const picture = visit.page.waitForEvent('download');
  await visit.page.getByRole('button', { name: 'Save picture (PNG)' }).click();
  const [name, data] = await contents(picture);
  expect(name).toBe('door-enhanced.png');
  const json = visit.page.waitForEvent('download');
  await visit.page.getByRole('button', { name: 'Save record (JSON)' }).click();
  const [recordName, text] = await contents(json);
  expect(recordName).toBe('door-enhanced.png.json');
  const record = JSON.parse(text.toString());
  expect(record.output.sha256).toBe(createHash('sha256').update(data).digest('hex'));
  expect(record.steps[0]).toMatchObject({ name: 'enhance', class: 'learned' });
  expect(record.detail).toBeTruthy();
  const change = visit.page.waitForEvent('download');
  await visit.page.getByRole('button', { name: 'Save what was added' }).click();
  expect((await contents(change))[0]).toBe('door-enhanced-change.png');
  await visit.close();
});

test('colour that is there is kept, or replaced only after a warning', async () => {
  const visit = await open();
  await put(visit, 'saturate(3)');
  await done(visit.page);
  await visit.page.getByText('Estimate colour', { exact: true }).click();
  await visit.page.getByRole('button', { name: 'Do it again' }).click();
  await visit.page.getByText('This picture has colour already').waitFor();
  await visit.accessible();
  await visit.shot('enhance-has-colour', false);
  await visit.page.getByRole('button', { name: 'Replace it anyway' }).click();
  await visit.page.getByTestId('marks').getByText('Colour is estimated').waitFor();
  await visit.close();
});

test('a grey picture is coloured, unless the work is forensic', async () => {
  const visit = await open();
  await put(visit, 'grayscale(1)');
  await done(visit.page);
  await visit.page.getByText('Estimate colour', { exact: true }).click();
  await visit.page.getByRole('button', { name: 'Do it again' }).click();
  await visit.page.getByTestId('marks').getByText('Colour is estimated').waitFor();
  await visit.accessible();
  await visit.shot('enhance-coloured', false);
  await visit.page.getByText('Forensic work').click();
  await visit.page.getByText(/Not in forensic work/).waitFor();
  await visit.page.getByRole('button', { name: 'Do it again' }).click();
  await visit.page
    .getByTestId('marks')
    .getByText('Colour is estimated')
    .waitFor({ state: 'detached' });
  await visit.close();
});

test('steps are added, set, ordered and removed by keys alone', async () => {
  const visit = await open();
  await put(visit);
  await done(visit.page);
  const { page } = visit;
  await page.getByRole('checkbox', { name: 'Steps of your own' }).focus();
  await page.keyboard.press('Space');
  const steps = page.getByTestId('step');
  const names = async () =>
    (await steps.locator('p .font-semibold').allTextContents()).map((name) => name.trim());
  await steps.first().waitFor();
  expect(await names()).toEqual(['Remove noise', 'Enhance']);
  await page.getByLabel('Step to add').selectOption({ label: 'Brighten or darken' });
  await page.getByRole('button', { name: 'Add', exact: true }).press('Enter');
  await page.getByText('Brighten or darken was added as step 3').waitFor();
  await page.keyboard.press('Alt+ArrowUp');
  await page.keyboard.press('Alt+ArrowUp');
  await page.keyboard.press('Alt+ArrowUp');
  expect(await names()).toEqual(['Brighten or darken', 'Remove noise', 'Enhance']);
  await page.getByText('Brighten or darken is now step 1 of 3').waitFor();
  await page.getByRole('button', { name: 'Remove noise: Remove' }).press('Enter');
  expect(await names()).toEqual(['Brighten or darken', 'Enhance']);
  await page.getByText('Settings of this step').first().press('Enter');
  await page.getByLabel('Gamma').fill('2.5');
  const sent = page.waitForRequest(/\/v1\/enhance/);
  await page.getByRole('button', { name: 'Do it again' }).press('Enter');
  expect(new URL((await sent).url()).searchParams.get('steps')).toBe('gamma:value=2.5,enhance');
  await page.getByText('changes brightness or colour, adds nothing').first().waitFor();
  await visit.close();
});

test.each([
  [413, 'output-too-large', 'The result would be too large', /twice instead of four times/],
  [422, 'option', 'It cannot be done this way', /Change the steps/],
  [422, undefined, 'This is not a picture that can be read', /damaged/],
  [503, 'not-installed', 'Not installed on this server', /Whoever runs the server/],
  [500, undefined, 'Something went wrong on the server', /Nothing of your picture/],
])('status %i for the reason %s says what to do', async (status, reason, title, help) => {
  const visit = await open();
  const replies = [{ status, body: JSON.stringify({ status, detail: 'so it is', reason }) }];
  await visit.page.route('**/v1/enhance*', async (route) => {
    const next = replies.shift();
    if (!next) return route.continue();
    await route.fulfill({ ...next, contentType: 'application/problem+json' });
  });
  await put(visit);
  await visit.page.getByText(title).waitFor();
  await visit.page.getByText(help).waitFor();
  await visit.page.getByText('so it is').waitFor();
  await visit.accessible();
  await visit.page.getByRole('button', { name: 'Try again' }).click();
  await done(visit.page);
  await visit.close();
});

test('work is cancelled, and done again', async () => {
  const visit = await open();
  await visit.page.route('**/v1/enhance*', () => undefined); // never answered
  await put(visit);
  await visit.page.getByRole('button', { name: 'Cancel' }).click();
  await visit.page.getByText('Cancelled').waitFor();
  await visit.page.unroute('**/v1/enhance*');
  await visit.page.getByRole('button', { name: 'Enhance', exact: true }).click();
  await done(visit.page);
  await visit.page.getByRole('button', { name: 'Remove', exact: true }).click();
  await visit.page.getByTestId('drop').waitFor();
  await visit.close();
});

test.each(LOOKS)(
  'face cards show before and after with the verdict on %s',
  async (look, viewport, scheme) => {
    const visit = await open({ viewport, colorScheme: scheme });
    await visit.go();
    const data = await visit.scene('night');
    await visit.drop([{ name: 'night.jpg', type: 'image/jpeg', data }]);
    const pair = visit.page.getByTestId('before-after').first();
    await pair.waitFor();
    expect(await pair.locator('img').count()).toBe(2);
    await pair.getByText('Enhanced (learned)').waitFor();
    await pair.getByTestId('drift').waitFor();
    await visit.accessible();
    await visit.fits();
    await visit.shot(`cards-enhanced-${look}`, false);
    const card = visit.page.getByTestId('card').filter({ has: pair }).first();
    await card
      .getByRole('button', { name: /Look closer/ })
      .first()
      .click();
    const dialog = visit.page.getByRole('dialog');
    await dialog.getByText('Detail is partly estimated').waitFor();
    await dialog.getByText('What was added', { exact: true }).click();
    await dialog.getByText('Middle grey').waitFor();
    await visit.accessible();
    await visit.shot(`face-enhanced-${look}`, false);
    await visit.close();
  },
  LONG,
);

test('a picture goes over from the results to the page Enhance', async () => {
  const visit = await open();
  await visit.go();
  const data = await picture(visit);
  await visit.drop([{ name: 'door.png', type: 'image/png', data }]);
  await visit.page.getByText('Enhance small faces').waitFor();
  await visit.page.getByRole('button', { name: 'Enhance this picture' }).click();
  await done(visit.page);
  expect(visit.page.url()).toMatch(/#\/enhance$/);
  await visit.close();
});
