import { expect, test } from 'vitest';
import { catalogues } from '../src/lib/i18n';
import { plural } from '../src/lib/i18n/forms';
import { verdictIn } from '../src/lib/i18n/verdict';

test('plurals follow the rules of the language', () => {
  const forms = { zero: 'nic', one: '{n} tvář', few: '{n} tváře', other: '{n} tváří' };
  expect([0, 1, 3, 5].map((n) => plural('cs')(n, forms))).toEqual([
    'nic',
    '1 tvář',
    '3 tváře',
    '5 tváří',
  ]);
  expect(plural('de')(1234, { one: '{n} Bild', other: '{n} Bilder' })).toBe('1.234 Bilder');
});

test('German leaves no English sentence', () => {
  const texts = (node: unknown, path = ''): [string, string][] =>
    typeof node === 'string'
      ? [[path, node]]
      : typeof node === 'object' && node
        ? Object.entries(node).flatMap(([key, value]) => texts(value, `${path}.${key}`))
        : [];
  const german = new Map(texts(catalogues.de));
  const english = texts(catalogues.en);
  expect([...german.keys()]).toEqual(english.map(([path]) => path));
  // Short words such as ZIP or Server may be the same.
  const left = english.filter(([path, text]) => text.length > 12 && german.get(path) === text);
  expect(left).toEqual([]);
});

test.each([
  [
    'Enough pixels (90 across) to identify the person if nothing covers the face.',
    'Genug Pixel (90 breit), um die Person zu identifizieren, wenn nichts das Gesicht verdeckt.',
  ],
  [
    'Too small (12 pixels across) to recognise anyone: look for a frame in which the person is nearer.',
    'Zu klein (12 Pixel breit), um jemanden wiederzuerkennen. Suchen Sie ein Bild, auf dem die Person näher ist.',
  ],
  [
    "Too much cut off by the picture's edge to tell whether anyone is there: look for a frame that shows the whole face.",
    'Zu stark vom Bildrand beschnitten, um zu sagen, ob jemand da ist. Suchen Sie ein Bild, das das ganze Gesicht zeigt.',
  ],
  ['A sentence of a later version.', 'A sentence of a later version.'],
])('the verdict %j in German', (english, german) => {
  expect(verdictIn('de', english)).toBe(german);
  expect(verdictIn('en', english)).toBe(english);
});
