import { expect, test } from 'vitest';
import { stemOf } from '../src/lib/picture/export';
import { chosen } from '../src/lib/picture/order';
import { pageOf } from '../src/lib/state/router.svelte';
import { defaults, restored } from '../src/lib/state/settings.svelte';

const BASE = defaults(['fr-FR', 'de-AT', 'en']);

test('the language is the first of the browser that we speak', () => {
  expect(BASE.language).toBe('de');
  expect(defaults(['ja']).language).toBe('en');
  expect(defaults([]).language).toBe('en');
});

test.each([
  null,
  '',
  'null',
  '[]',
  '"x"',
  '{',
  '{"theme":"pink","fontSize":1e9,"threshold":"0.5"}',
])('saved settings %j make no sense, so the defaults stand', (saved) =>
  expect(restored(saved, BASE)).toEqual(BASE),
);

test('bodies are looked for only where that was chosen', () => {
  expect(BASE.findBodies).toBe(false);
  expect(restored('{"findBodies":true}', BASE).findBodies).toBe(true);
  expect(restored('{"findBodies":"yes"}', BASE).findBodies).toBe(false);
});

test('what makes sense among saved settings is kept', () => {
  const saved = JSON.stringify({ theme: 'dark', threshold: 0.3, minFace: 0, unknown: 1 });
  expect(restored(saved, BASE)).toEqual({ ...BASE, theme: 'dark', threshold: 0.3 });
});

test.each([
  ['', 'home'],
  ['#/', 'home'],
  ['#/examine', 'examine'],
  ['#/settings/', 'settings'],
  ['#/about?x=1', 'about'],
  ['#/constructor', null],
  ['#/nowhere', null],
])('the address %j leads to the page %j', (hash, page) => expect(pageOf(hash)).toBe(page));

test.each([
  ['', 'picture'],
  ['.jpg', 'picture'],
  ['door.cam.jpg', 'door.cam'],
  ['../../etc/passwd', 'etc_passwd'],
  ['Tür 3 (Ost).png', 'Tür_3_Ost'],
  ['x'.repeat(300) + '.png', 'x'.repeat(80)],
])('the file name %j is saved as %j', (name, stem) => expect(stemOf(name)).toBe(stem));

test('faces are sorted and filtered without losing any', () => {
  const entry = (x: number, height: number, excluded = false) => {
    const box = { x_min: x, y_min: 0, x_max: x + 1, y_max: height, probability: 0.5 };
    return { box, face: { box, landmarks: [] }, excluded };
  };
  const entries = [entry(5, 10), entry(1, 30), entry(9, 20, true)];
  const heights = (list: typeof entries) => list.map(({ box }) => box.y_max);
  expect(heights(chosen(entries, 'all', 'quality'))).toEqual([10, 30, 20]);
  expect(heights(chosen(entries, 'all', 'size'))).toEqual([30, 20, 10]);
  expect(heights(chosen(entries, 'all', 'place'))).toEqual([30, 10, 20]);
  expect(heights(chosen(entries, 'excluded', 'size'))).toEqual([20]);
  expect(chosen(entries, 'recognition', 'size')).toEqual([]);
  expect(chosen([], 'all', 'score')).toEqual([]);
});
