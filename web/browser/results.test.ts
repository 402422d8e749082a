import { unzipSync } from 'fflate';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Browser, BrowserContextOptions, Download } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DESKTOP, launch, PHONE, Visit } from './visit';

let browser: Browser;
beforeAll(async () => void (browser = await launch()));
afterAll(() => browser.close());

/** A visitor who wants to hear of faint faces too: these tests are not about the detector. */
async function visitor(options: BrowserContextOptions = {}): Promise<Visit> {
  const visit = await Visit.open(browser, options);
  await visit.page.addInitScript(
    (saved) =>
      localStorage.getItem('facecctv.settings') ?? localStorage.setItem('facecctv.settings', saved),
    JSON.stringify({ threshold: 0.25 }),
  );
  return visit;
}

async function withScene(visit: Visit, name = 'recorder'): Promise<void> {
  await visit.go();
  await visit.drop([{ name: `${name}.jpg`, type: 'image/jpeg', data: await visit.scene(name) }]);
  await visit.page.getByTestId('card').first().waitFor();
}

async function contents(download: Promise<Download>): Promise<[string, Buffer]> {
  const file = await download;
  return [file.suggestedFilename(), readFileSync(await file.path())];
}

const LOOKS = [
  ['desktop-light', DESKTOP, 'light'],
  ['desktop-dark', DESKTOP, 'dark'],
  ['phone-light', PHONE, 'light'],
  ['phone-dark', PHONE, 'dark'],
] as const;

test.each(LOOKS)(
  'a dropped picture becomes cards with crops on %s',
  async (look, viewport, scheme) => {
    const visit = await visitor({ viewport, colorScheme: scheme });
    await withScene(visit);
    const crops = visit.page.getByTestId('card').locator('img');
    expect(await crops.count()).toBeGreaterThan(0);
    expect(
      await crops.first().evaluate((image: HTMLImageElement) => image.naturalWidth),
    ).toBeGreaterThan(8);
    await visit.accessible();
    await visit.fits();
    await visit.shot(`results-${look}`, false);

    await visit.page.getByTestId('card').first().getByRole('button').first().click();
    await visit.page.getByRole('dialog').getByText('As recorded').waitFor();
    const divide = visit.page.getByRole('slider', { name: 'Position of the divide' });
    await divide.focus();
    for (let step = 0; step < 5; step++) await divide.press('ArrowLeft');
    expect(await divide.inputValue()).toBe('45');
    await visit.accessible();
    await visit.shot(`face-${look}`, false);
    await visit.close();
  },
);

test('boxes are chosen, hidden and left out', async () => {
  const visit = await visitor();
  await withScene(visit);
  const boxes = visit.page.getByTestId('box');
  const all = await boxes.count();
  await boxes.first().focus();
  await visit.page.keyboard.press('Enter');
  expect(await boxes.first().getAttribute('aria-pressed')).toBe('true');
  await visit.page.getByRole('button', { name: 'Face 1: Hide box' }).click();
  expect(await boxes.count()).toBe(all - 1);
  await visit.page.getByRole('button', { name: 'Face 1: Leave out' }).click();
  await visit.page.getByLabel('Show', { exact: true }).selectOption({ label: 'Left out' });
  expect(await visit.page.getByTestId('card').count()).toBe(1);
  await visit.page.getByLabel('Show', { exact: true }).selectOption({ label: 'All faces' });
  await visit.page.getByLabel('Sort by').selectOption({ label: 'Largest' });
  const heights = await visit.page.getByText(/px tall/).allTextContents();
  const numbers = heights.map((text) => parseInt(text, 10));
  expect(numbers).toEqual([...numbers].sort((a, b) => b - a));
  await visit.page.getByText('Show boxes').click();
  expect(await boxes.count()).toBe(0);
  await visit.close();
});

test('everything is saved with its record, without what was left out', async () => {
  const visit = await visitor();
  await withScene(visit);
  const all = await visit.page.getByTestId('card').count();
  await visit.page.getByRole('button', { name: 'Face 1: Leave out' }).click();
  await visit.page.getByRole('button', { name: 'Save all' }).click();
  await visit.accessible();
  await visit.shot('save', false);
  const download = visit.page.waitForEvent('download');
  await visit.page.getByRole('button', { name: /^ZIP with/ }).click();
  const [name, data] = await contents(download);
  expect(name).toBe('recorder.zip');
  const files = unzipSync(data);
  const crops = Object.keys(files).filter((file) => /-face-\d+\.png$/.test(file));
  expect(crops).toHaveLength(all - 1);
  expect(crops).not.toContain('recorder-face-001.png');
  expect([...files[crops[0]!]!.subarray(1, 4)]).toEqual([...Buffer.from('PNG')]);
  const record = JSON.parse(Buffer.from(files['recorder-result.json']!).toString());
  expect(record.result.faces).toHaveLength(all);
  expect(record.edits.excluded).toHaveLength(1);
  expect(record.result.sha256).toMatch(/^[0-9a-f]{64}$/);
  const others = Object.keys(files).filter((file) => file !== 'recorder-result.json');
  expect(record.files.sort()).toEqual(others.sort());
  await visit.close();
});

test('one face is saved by one click, as JPEG if wished', async () => {
  const visit = await visitor();
  await withScene(visit);
  const png = visit.page.waitForEvent('download');
  await visit.page.getByRole('button', { name: 'Face 1: Save this face' }).click();
  expect((await contents(png))[0]).toBe('recorder-face-001.png');
  await visit.page.getByRole('button', { name: 'Face 1: Look closer' }).last().click();
  const jpeg = visit.page.waitForEvent('download');
  await visit.page.getByRole('button', { name: 'Save as JPEG' }).click();
  const [name, data] = await contents(jpeg);
  expect(name).toBe('recorder-face-001.jpg');
  expect([...data.subarray(0, 3)]).toEqual([0xff, 0xd8, 0xff]);
  await visit.close();
});

test('a face is added by mouse, and by keys', async () => {
  const visit = await visitor();
  await withScene(visit);
  const before = await visit.page.getByTestId('card').count();
  const answered = visit.page.waitForResponse(/\/v1\/examine/);
  await visit.page.getByRole('button', { name: 'Add a face by hand' }).click();
  const stage = visit.page.getByRole('application');
  await visit.accessible();
  await visit.shot('drawing', false);
  const frame = (await stage.boundingBox())!;
  await visit.page.mouse.move(frame.x + 10, frame.y + 10);
  await visit.page.mouse.down();
  await visit.page.mouse.move(frame.x + 70, frame.y + 90, { steps: 4 });
  await visit.page.mouse.up();
  await visit.page.getByText('The server sees no face there').waitFor();
  const { sha256, faces } = await (await answered).json();
  const whole = createHash('sha256').update(await visit.scene());
  expect(sha256).toBe(whole.digest('hex'));
  expect(faces).toHaveLength(1);
  expect(faces[0].landmarks_from).toBe('average');
  const cards = visit.page.getByTestId('card');
  expect(await cards.count()).toBe(before + 1);
  const added = cards.filter({ hasText: 'Added by hand' });
  expect(await added.getByText('Certainty').count()).toBe(0);
  const crop = added.getByRole('img').first();
  expect(await crop.evaluate((image: HTMLImageElement) => image.naturalWidth)).toBeGreaterThan(8);

  await visit.page.getByRole('button', { name: 'Add a face by hand' }).click();
  await visit.page.getByTestId('draft').waitFor();
  await visit.page.keyboard.press('ArrowLeft');
  await visit.page.keyboard.press('Shift+ArrowDown');
  await visit.page.keyboard.press('Enter');
  await visit.page
    .getByTestId('card')
    .nth(before + 1)
    .waitFor();
  expect(await visit.page.getByText('Added by hand').count()).toBe(2);
  await visit.close();
});

test('several pictures are worked through, and one bad one does not stop the rest', async () => {
  const visit = await visitor();
  await visit.go();
  await visit.drop([
    { name: 'hall.jpg', type: 'image/jpeg', data: await visit.scene('hall') },
    { name: 'notes.jpg', type: 'image/jpeg', data: Buffer.from('not a picture at all') },
    { name: 'noisy.jpg', type: 'image/jpeg', data: await visit.scene('noisy') },
  ]);
  await visit.page.getByRole('button', { name: 'Remove all' }).waitFor();
  await visit.accessible();
  await visit.shot('several', false);
  await visit.page.getByRole('button', { name: /notes.jpg/ }).click();
  await visit.page.getByText('This is not a picture that can be read').waitFor();
  await visit.page.getByRole('button', { name: /noisy.jpg/ }).click();
  await visit.page
    .getByText(/faces? found/)
    .first()
    .waitFor();
  await visit.page.getByRole('button', { name: 'Remove all' }).click();
  await visit.page.getByText('No picture has been put in yet.').waitFor();
  await visit.close();
});

test('a picture is pasted, picked, or taken by the camera', async () => {
  const visit = await visitor({ permissions: ['camera'] });
  await visit.go('#/detect');
  await visit.page.getByTestId('picker').setInputFiles({
    name: 'picked.jpg',
    mimeType: 'image/jpeg',
    buffer: await visit.scene('night'),
  });
  await visit.page
    .getByText(/faces? found/i)
    .first()
    .waitFor();
  await visit.page.evaluate(
    (data) => {
      const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
      const clipboardData = new DataTransfer();
      clipboardData.items.add(new File([bytes], 'pasted.jpg', { type: 'image/jpeg' }));
      window.dispatchEvent(new ClipboardEvent('paste', { clipboardData, cancelable: true }));
    },
    (await visit.scene('night')).toString('base64'),
  );
  await visit.page.getByRole('button', { name: /pasted.jpg/ }).waitFor();
  await visit.page.getByRole('button', { name: 'Use the camera' }).click();
  await visit.accessible();
  await visit.page.getByRole('button', { name: 'Take the picture' }).click();
  await visit.page.getByRole('button', { name: /camera-/ }).waitFor();
  await visit.close();
});

test('the demo is one click away', async () => {
  const visit = await visitor();
  await visit.go();
  await visit.page.getByRole('button', { name: 'Try the demo picture' }).click();
  await visit.page.getByTestId('card').first().waitFor();
  await visit.close();
});

test('a picture that the browser cannot show is drawn by the server', async () => {
  const visit = await visitor();
  await visit.go();
  // A TIFF of 2 x 2 grey pixels: header, samples, directory.
  const entry = (tag: number, type: number, value: number) => {
    const bytes = Buffer.alloc(12);
    bytes.writeUInt16LE(tag, 0);
    bytes.writeUInt16LE(type, 2);
    bytes.writeUInt32LE(1, 4);
    bytes.writeUInt32LE(value, 8);
    return bytes;
  };
  const fields = [
    [256, 3, 64],
    [257, 3, 64],
    [258, 3, 8],
    [259, 3, 1],
    [262, 3, 1],
    [273, 4, 8],
    [277, 3, 1],
    [278, 3, 64],
    [279, 4, 4096],
  ] as const;
  const start = Buffer.from([0x49, 0x49, 42, 0, 0, 0, 0, 0]);
  start.writeUInt32LE(8 + 4096, 4);
  const count = Buffer.from([fields.length, 0]);
  const directory = fields.map(([tag, type, value]) => entry(tag, type, value));
  const tiff = Buffer.concat([
    start,
    Buffer.alloc(4096, 128),
    count,
    ...directory,
    Buffer.alloc(4),
  ]);
  await visit.drop([{ name: 'grey.tif', type: 'image/tiff', data: tiff }]);
  await visit.page.getByText('No face found').waitFor();
  await visit.page.getByText('This browser cannot show such files').waitFor();
  await visit.close();
});
