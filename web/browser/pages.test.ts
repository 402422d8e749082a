import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DESKTOP, launch, PHONE, Visit } from './visit';

let browser: Browser;
beforeAll(async () => void (browser = await launch()));
afterAll(() => browser.close());

const PAGES = [
  'home',
  'examine',
  'detect',
  'enhance',
  'footage',
  'live',
  'compare',
  'watchlist',
  'showcase',
  'settings',
  'about',
  'download',
] as const;
const LOOKS = [
  ['desktop-light', DESKTOP, 'light'],
  ['desktop-dark', DESKTOP, 'dark'],
  ['phone-light', PHONE, 'light'],
  ['phone-dark', PHONE, 'dark'],
] as const;

test.each(LOOKS)('every page on %s', async (look, viewport, colorScheme) => {
  const visit = await Visit.open(browser, { viewport, colorScheme });
  await visit.go();
  await visit.page.getByRole('button', { name: 'Try the demo picture' }).waitFor();
  for (const page of PAGES) {
    await visit.go(page === 'home' ? '#/' : `#/${page}`);
    if (page === 'showcase') await visit.page.getByText(/faces found/).waitFor();
    if (page === 'about') await visit.page.getByText('Models at work').waitFor();
    await visit.accessible();
    await visit.fits();
    await visit.shot(`${page}-${look}`);
  }
  await visit.close();
});

test('every page fits a phone in German too, whose words are longer', async () => {
  const visit = await Visit.open(browser, { viewport: PHONE });
  await visit.page.addInitScript(
    (saved) => {
      localStorage.setItem('facecctv.settings', saved);
    },
    JSON.stringify({ language: 'de' }),
  );
  await visit.go();
  for (const page of PAGES) {
    await visit.go(page === 'home' ? '#/' : `#/${page}`);
    expect(await visit.page.evaluate(() => document.documentElement.lang)).toBe('de');
    await visit.fits();
  }
  await visit.close();
});

test('the menu has only what the server can do', async () => {
  const visit = await Visit.open(browser);
  await visit.go();
  await visit.page.getByRole('link', { name: 'Showcase' }).waitFor();
  const { capabilities } = await (await fetch(`${visit.server}/v1/models`)).json();
  const enhances = capabilities.includes('enhance') || capabilities.includes('colourise');
  const names = await visit.page.getByRole('navigation').getByRole('link').allTextContents();
  expect(names.map((name) => name.trim())).toEqual([
    'Home',
    'Face detection',
    ...(enhances ? ['Enhancement'] : []),
    'Video',
    ...(capabilities.includes('compare') ? ['Compare'] : []),
    'Showcase',
    'Settings',
    'About & privacy',
    'Download',
  ]);
  await visit.go('#/watchlist');
  await visit.page.getByText('Not installed on this server').waitFor();
  await visit.go('#/nowhere');
  await visit.page.getByText('There is no such page.').waitFor();
  await visit.close();
});

test('the phone menu opens, leads on and closes', async () => {
  const visit = await Visit.open(browser, { viewport: PHONE });
  await visit.go();
  const menu = visit.page.getByRole('button', { name: 'Menu' });
  await menu.click();
  expect(await menu.getAttribute('aria-expanded')).toBe('true');
  await visit.accessible();
  await visit.shot('menu-phone');
  await visit.page.getByRole('link', { name: 'Settings' }).click();
  await visit.page.getByRole('heading', { name: 'Settings', level: 1 }).waitFor();
  expect(await menu.getAttribute('aria-expanded')).toBe('false');
  await visit.close();
});

test('settings change the page at once and outlive a reload', async () => {
  const visit = await Visit.open(browser, { colorScheme: 'light' });
  await visit.go('#/settings');
  await visit.page.getByText('Dark', { exact: true }).click();
  await visit.page.getByText('Teal', { exact: true }).click();
  await visit.page.getByText('125%', { exact: true }).click();
  await visit.page.getByText('Deutsch', { exact: true }).click();
  await visit.page.getByRole('heading', { name: 'Einstellungen', level: 1 }).waitFor();
  await visit.accessible();
  await visit.shot('settings-changed');
  await visit.page.reload();
  await visit.page.getByRole('heading', { name: 'Einstellungen', level: 1 }).waitFor();
  const root = await visit.page.evaluate(() => {
    const { classList, dataset, style, lang } = document.documentElement;
    return [classList.contains('dark'), dataset.accent, style.fontSize, lang];
  });
  expect(root).toEqual([true, 'teal', '125%', 'de']);
  await visit.close();
});

test('every accent is readable, light and dark', async () => {
  for (const theme of ['light', 'dark'])
    for (const accent of ['teal', 'violet', 'rose', 'amber', 'slate']) {
      const visit = await Visit.open(browser);
      await visit.page.addInitScript((saved) => {
        localStorage.setItem('facecctv.settings', saved);
      }, JSON.stringify({ theme, accent }));
      await visit.go();
      await visit.accessible();
      await visit.close();
    }
});
