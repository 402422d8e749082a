import { expect, test } from 'vitest';
import { between, cornersOf, iou, matched, type Area } from '../src/lib/picture/geometry';

const area = (x_min: number, y_min: number, x_max: number, y_max: number): Area => ({
  x_min,
  y_min,
  x_max,
  y_max,
});
const SIZE = { width: 100, height: 50 };

test.each([
  ['apart', area(0, 0, 10, 10), area(20, 0, 30, 10), 0],
  ['touching', area(0, 0, 10, 10), area(10, 0, 20, 10), 0],
  ['the same', area(0, 0, 10, 10), area(0, 0, 10, 10), 1],
  ['half over', area(0, 0, 10, 10), area(5, 0, 15, 10), 50 / 150],
  ['inside', area(0, 0, 10, 10), area(0, 0, 5, 5), 0.25],
])('overlap of boxes %s', (_, a, b, expected) => {
  expect(iou(a, b)).toBeCloseTo(expected, 9);
  expect(iou(b, a)).toBeCloseTo(expected, 9);
});

test('a box may be drawn from any corner and ends at the picture', () => {
  expect(between({ x: 30, y: 40 }, { x: 10, y: 20 }, SIZE)).toEqual(area(10, 20, 30, 40));
  expect(between({ x: -5, y: 40 }, { x: 120, y: 70 }, SIZE)).toEqual(area(0, 40, 100, 50));
});

test('one found box counts for one known face only', () => {
  const known = [area(0, 0, 10, 10), area(1, 0, 11, 10), area(50, 0, 60, 10)];
  expect(matched(known, [])).toBe(0);
  expect(matched(known, [area(0, 0, 10, 10)])).toBe(1);
  expect(matched(known, [area(0, 0, 10, 10), area(51, 0, 61, 10), area(80, 0, 90, 9)])).toBe(2);
});

test('corners are drawn a quarter of each side long', () => {
  expect(cornersOf(area(0, 0, 0, 0))).toBe('M0 0V0H0'.repeat(4));
  expect(cornersOf(area(10, 20, 50, 100))).toBe(
    'M10 40V20H20' + 'M50 40V20H40' + 'M10 80V100H20' + 'M50 80V100H40',
  );
});
