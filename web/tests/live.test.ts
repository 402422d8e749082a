import { expect, test } from 'vitest';
import { eventsIn } from '../src/lib/api/events';
import { catalogues } from '../src/lib/i18n';
import { chosen, newsOf, type Happening } from '../src/lib/state/live.svelte';

async function* pieces(...texts: string[]) {
  yield* texts;
}

const read = async (...texts: string[]) => {
  const found = [];
  for await (const one of eventsIn(pieces(...texts))) found.push(one);
  return found;
};

test('nothing is no event, nor is a comment', async () => {
  expect(await read()).toEqual([]);
  expect(await read('', ': still here\n\n')).toEqual([]);
});

test('events are read wherever the stream is cut', async () => {
  const text = 'id: 17-2\nevent: left\ndata: {"a":"b: c"}\n\n: still here\n\nevent: end\ndata:\n\n';
  const events = [
    { id: '17-2', event: 'left', data: '{"a":"b: c"}' },
    { id: '', event: 'end', data: '' },
  ];
  expect(await read(text)).toEqual(events);
  for (let at = 0; at < text.length; at += 1)
    expect(await read(text.slice(0, at), text.slice(at))).toEqual(events);
  // What is not whole yet is no event.
  expect(await read(text.slice(0, 20))).toEqual([]);
});

const happening = (number: number, camera: number, decision?: string) =>
  ({
    number,
    camera,
    said: decision ? { event: 'appeared', face: { decision } } : { event: 'camera' },
  }) as Happening;

test('what is shown is what was chosen', () => {
  const told = [happening(3, 2), happening(2, 1, 'match'), happening(1, 1, 'no_match')];
  const numbers = (...how: [number | null, number | null, boolean]) =>
    chosen(told, ...how).map((one) => one.number);
  expect(chosen([], null, null, false)).toEqual([]);
  expect(numbers(null, null, false)).toEqual([3, 2, 1]);
  expect(numbers(2, null, false)).toEqual([2, 1]);
  expect(numbers(null, 1, false)).toEqual([2, 1]);
  expect(numbers(null, null, true)).toEqual([2]);
  expect(numbers(0, null, false)).toEqual([]);
});

test('many events are one announcement', () => {
  const said = (event: string, state?: string) =>
    ({ number: 1, camera: 1, said: { event, state } }) as Happening;
  const words = (...happened: Happening[]) => catalogues.en.live.news(newsOf(happened));
  expect(words()).toBe('');
  expect(words(said('camera', 'connected'))).toBe('');
  expect(words(said('camera', 'lost'))).toBe('connection to 1 camera lost');
  expect(words(said('appeared'), said('appeared'), said('matched'), said('left'))).toBe(
    '2 people appeared, 1 left, 1 may be on the list',
  );
});
