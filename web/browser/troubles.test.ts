import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { launch, Visit } from './visit';

let browser: Browser;
beforeAll(async () => void (browser = await launch()));
afterAll(() => browser.close());

interface Reply {
  status: number;
  detail: string;
  headers?: Record<string, string>;
}

/** The server's next answers to a picture; after these it answers by itself. */
async function answering(page: Page, replies: Reply[]): Promise<void> {
  await page.route('**/v1/examine*', async (route) => {
    const next = replies.shift();
    if (!next) return route.continue();
    const { status, detail, headers } = next;
    const contentType = 'application/problem+json';
    await route.fulfill({ status, headers, contentType, body: JSON.stringify({ status, detail }) });
  });
}

async function put(visit: Visit): Promise<void> {
  await visit.go();
  await visit.drop([{ name: 'a.jpg', type: 'image/jpeg', data: await visit.scene('night') }]);
}

test.each([
  [413, 'the picture has too many pixels', 'The picture is too large', /up to 33 MB/],
  [415, 'of no known kind', 'This is not a picture that can be read', /save it as JPEG or PNG/],
  [422, 'broken', 'This is not a picture that can be read', /damaged/],
  [500, 'a bug', 'Something went wrong on the server', /Nothing of your picture was kept/],
  [403, 'not from there', 'The server refused the request', /settings/],
])('status %i says what to do', async (status, detail, title, help) => {
  const visit = await Visit.open(browser);
  await answering(visit.page, [{ status, detail }]);
  await put(visit);
  await visit.page.getByText(title).waitFor();
  await visit.page.getByText(help).waitFor();
  await visit.page.getByText(detail).waitFor();
  await visit.accessible();
  await visit.shot(`problem-${status}`);
  await visit.page.getByRole('button', { name: 'Try again' }).click();
  await visit.page
    .getByText(/faces? found/i)
    .first()
    .waitFor();
  await visit.close();
});

test('a busy server is tried again after the seconds it names', async () => {
  const visit = await Visit.open(browser);
  const busy = { status: 429, detail: 'full', headers: { 'Retry-After': '2' } };
  await answering(visit.page, [busy, { ...busy, headers: { 'Retry-After': '100' } }]);
  await put(visit);
  await visit.page.getByText(/Next try in 2 seconds/).waitFor();
  await visit.page.getByText(/Next try in (100|99|98) seconds/).waitFor();
  await visit.accessible();
  await visit.shot('problem-busy');
  await visit.page.getByRole('button', { name: 'Try now' }).click();
  await visit.page
    .getByText(/faces? found/i)
    .first()
    .waitFor();
  await visit.close();
});

test('work is cancelled, and taken up again', async () => {
  const visit = await Visit.open(browser);
  let held = true;
  await visit.page.route('**/v1/examine*', (route) => (held ? undefined : route.continue()));
  await put(visit);
  await visit.page.getByRole('button', { name: 'Cancel' }).click();
  await visit.page.getByText('Cancelled').first().waitFor();
  held = false;
  await visit.page.getByRole('button', { name: 'Try again' }).click();
  await visit.page
    .getByText(/faces? found/i)
    .first()
    .waitFor();
  await visit.close();
});

test('a server that is gone, and a device that is offline', async () => {
  const visit = await Visit.open(browser);
  await visit.go();
  const data = await visit.scene('night');
  await visit.page.route('**/v1/examine*', (route) => route.abort('connectionrefused'));
  await visit.page.getByRole('link', { name: 'Settings' }).waitFor();
  await visit.drop([{ name: 'a.jpg', type: 'image/jpeg', data }]);
  await visit.page.getByText('The server does not answer').waitFor();
  await visit.accessible();
  await visit.shot('problem-gone');
  await visit.page.context().setOffline(true);
  await visit.page.getByRole('button', { name: 'Try again' }).click();
  await visit.page.getByText('This device is offline').waitFor();
  await visit.page.context().setOffline(false);
  await visit.page.unroute('**/v1/examine*');
  await visit.page.getByRole('button', { name: 'Try again' }).click();
  await visit.page
    .getByText(/faces? found/i)
    .first()
    .waitFor();
  await visit.close();
});

test('a server with keys asks for one and takes it', async () => {
  const visit = await Visit.open(browser);
  const sent: (string | undefined)[] = [];
  await visit.page.route('**/v1/examine*', async (route) => {
    const key = route.request().headers()['x-api-key'];
    sent.push(key);
    if (key === 'right') return route.continue();
    await route.fulfill({ status: 401, body: '{"detail": "send a key"}' });
  });
  await put(visit);
  await visit.page.getByLabel('API key').fill('right');
  await visit.accessible();
  await visit.shot('problem-key');
  await visit.page.getByRole('button', { name: 'Use this key' }).click();
  await visit.page
    .getByText(/faces? found/i)
    .first()
    .waitFor();
  expect(sent).toEqual([undefined, 'right']);
  await visit.close();
});

test('something else than a file is refused in words', async () => {
  const visit = await Visit.open(browser);
  await visit.go();
  await visit.drop([]);
  await visit.page.getByText('There was no file in that.').waitFor();
  await visit.close();
});
