import { expect, test } from 'vitest';
import type { FilmedPerson, Passage } from '../src/lib/api/types';
import { boxAt, clock, seenAt, stretch } from '../src/lib/picture/time';

test.each([
  [0, '0:00.0'],
  [-1, '0:00.0'],
  [7.25, '0:07.3'],
  [59.96, '1:00.0'],
  [187.5, '3:07.5'],
  [3599.97, '1:00:00'],
  [3787.9, '1:03:07'],
])('%d seconds are shown as %s', (seconds, text) => {
  expect(clock(seconds)).toBe(text);
});

const passage: Passage = {
  number: 1,
  first: 1,
  last: 3,
  sights: 3,
  path: [
    [1, 10, 20, 30, 40],
    [2, 20, 20, 40, 40],
    [3, 20, 40, 40, 80],
  ],
};

test.each([
  [0.99, null],
  [1, [10, 20, 30, 40]],
  [1.5, [15, 20, 35, 40]],
  [2.25, [20, 25, 40, 50]],
  [3, [20, 40, 40, 80]],
  [3.01, null],
])('at %d seconds the face is at %j', (time, corners) => {
  const box = boxAt(passage, time);
  expect(box && [box.x_min, box.y_min, box.x_max, box.y_max]).toEqual(corners);
});

test('a passage without looks is nowhere', () => {
  expect(boxAt({ ...passage, path: [] }, 1)).toBeNull();
});

test('everybody who is there at a time, by number', () => {
  const people = [
    { number: 1, passages: [passage] },
    { number: 4, passages: [{ ...passage, path: [[2.5, 0, 0, 1, 1]] }, passage] },
  ] as unknown as FilmedPerson[];
  expect(seenAt([], 2)).toEqual([]);
  expect(seenAt(people, 0.5)).toEqual([]);
  expect(seenAt(people, 2).map(({ person }) => person)).toEqual([1, 4]);
});

test.each([
  [0, 10, 10, { left: 0, width: 100 }],
  [2.5, 5, 10, { left: 25, width: 25 }],
  [9, 12, 10, { left: 90, width: 10 }],
  [0, 0, 0, { left: 0, width: 0 }],
])('from %d to %d of %d seconds', (first, last, duration, part) => {
  expect(stretch(first, last, duration)).toEqual(part);
});
