import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DESKTOP, launch, PHONE, Visit } from './visit';

let browser: Browser;
beforeAll(async () => void (browser = await launch()));
afterAll(() => browser.close());

const STEPS = 'denoise:h=3:window=7,gamma:1.2,resize:0.5';

/** A demo scene's file, and the PNG that the server makes of it. */
async function made(visit: Visit, steps = STEPS): Promise<{ source: Buffer; result: Buffer }> {
  const [source, result] = await visit.page.evaluate(async (steps) => {
    const original = await (await fetch('/v1/demo/hall')).blob();
    const form = new FormData();
    form.append('file', original, 'hall.png');
    const reply = await fetch(`/v1/enhance?steps=${encodeURIComponent(steps)}`, {
      method: 'POST',
      body: form,
      headers: { accept: 'image/png' },
    });
    const texts = [original, await reply.blob()].map(async (blob) => {
      const bytes = new Uint8Array(await blob.arrayBuffer());
      return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''));
    });
    return Promise.all(texts);
  }, steps);
  return { source: Buffer.from(source!, 'base64'), result: Buffer.from(result!, 'base64') };
}

const png = (name: string, buffer: Buffer) => ({ name, mimeType: 'image/png', buffer });

test.each([
  ['desktop-light', DESKTOP, 'light'],
  ['desktop-dark', DESKTOP, 'dark'],
  ['phone-light', PHONE, 'light'],
  ['phone-dark', PHONE, 'dark'],
] as const)('a processed picture is checked on %s', async (look, viewport, colorScheme) => {
  const visit = await Visit.open(browser, { viewport, colorScheme }, 'enhancing');
  const { page } = visit;
  await visit.go('#/enhance');
  await page.getByRole('link', { name: 'Check a processed picture' }).click();
  await page.getByRole('heading', { name: 'Is it what it says it is?' }).waitFor();
  await visit.accessible();
  await visit.fits();
  await visit.shot(`check-empty-${look}`);
  const { source, result } = await made(visit);

  await page
    .getByTestId('picker')
    .setInputFiles([png('hall-enhanced.png', result), png('hall.png', source)]);
  await page.getByText('The same file came out').waitFor();
  const checked = page.getByTestId('checked');
  expect(await checked.getAttribute('data-verdict')).toBe('same_bytes');
  expect(await checked.getByRole('listitem').count()).toBe(3);
  await visit.accessible();
  await visit.fits();
  await visit.shot(`check-${look}`);

  // The original in place of the result: it says nothing of steps, and the two may be swapped.
  await page.getByTestId('result').getByRole('button', { name: 'Remove' }).click();
  await page.getByTestId('source').getByRole('button', { name: 'Remove' }).click();
  await page
    .getByTestId('picker')
    .setInputFiles([png('hall.png', source), png('hall-enhanced.png', result)]);
  await page.getByText('The picture does not say how it was made').waitFor();
  await visit.accessible();
  await page.getByRole('button', { name: 'The other way round' }).click();
  await page.getByText('The same file came out').waitFor();
  await visit.close();
});

test('a picture that was changed is found out', async () => {
  const visit = await Visit.open(browser, {}, 'enhancing');
  const { page } = visit;
  await visit.go('#/check');
  const { source, result } = await made(visit);
  // Pixels that became darker, with the words of those that became lighter.
  const darker = (await made(visit, 'gamma:0.8,resize:0.5')).result;
  const words = chunks(result).filter(({ kind }) => kind === 'iTXt');
  const [head, ...rest] = chunks(darker).filter(({ kind }) => kind !== 'iTXt');
  const forged = Buffer.concat([
    darker.subarray(0, 8),
    ...[head!, ...words, ...rest].map(({ bytes }) => bytes),
  ]);
  await page
    .getByTestId('picker')
    .setInputFiles([png('forged.png', forged), png('hall.png', source)]);
  await page.getByText('It is not what it says it is').waitFor();
  await page.getByText(/\d+(\.\d+)?% of the pixels differ, by up to \d+ grey levels/).waitFor();
  await visit.accessible();
  await visit.shot('check-differs');
  await visit.close();
});

/** The parts of a PNG file after its first eight bytes. */
function chunks(data: Buffer): { kind: string; bytes: Buffer }[] {
  const found = [];
  for (let at = 8; at < data.length;) {
    const length = data.readUInt32BE(at) + 12;
    found.push({
      kind: data.toString('latin1', at + 4, at + 8),
      bytes: data.subarray(at, at + length),
    });
    at += length;
  }
  return found;
}
