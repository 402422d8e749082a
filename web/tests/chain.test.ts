import { expect, test } from 'vitest';
import type { KnownStep } from '../src/lib/api/types';
import { chainText, defaultText, missing, movedTo } from '../src/lib/state/chain';

const parameter = (name: string, facts: object = {}) => ({
  name,
  kind: 'number' as const,
  required: false,
  choices: [],
  ...facts,
});
const KNOWN: KnownStep[] = [
  { name: 'denoise', class: 'photometric', parameters: [parameter('h', { default: 5 })] },
  { name: 'gamma', class: 'photometric', parameters: [] },
  {
    name: 'crop',
    class: 'geometric',
    parameters: [parameter('x', { required: true }), parameter('y', { required: true })],
  },
  {
    name: 'enhance',
    class: 'learned',
    parameters: [parameter('faces_only', { kind: 'switch', default: false })],
  },
];
let id = 0;
const step = (name: string, values: Record<string, string> = {}) => ({ id: id++, name, values });

test.each([
  [[], ''],
  [[step('gamma')], 'gamma'],
  [[step('denoise', { h: '8' }), step('gamma')], 'denoise:h=8,gamma'],
  [[step('denoise', { h: '5' })], 'denoise'],
  [[step('denoise', { h: ' ' })], 'denoise'],
  [[step('denoise', { unknown: '1' })], 'denoise'],
  [[step('enhance', { faces_only: 'off' })], 'enhance'],
  [[step('enhance', { faces_only: 'on' })], 'enhance:faces_only=on'],
  [[step('crop', { x: ' 0', y: '7' })], 'crop:x=0:y=7'],
  [[step('of a later version')], 'of a later version'],
])('the steps %j are the chain %j', (steps, text) => expect(chainText(steps, KNOWN)).toBe(text));

test('what is needed and empty is named', () => {
  expect(missing([], KNOWN)).toEqual([]);
  expect(missing([step('gamma'), step('crop', { x: '3', y: ' ' })], KNOWN)).toEqual(['crop.y']);
});

test('defaults are shown as they are written', () => {
  const [h] = KNOWN[0]!.parameters;
  expect(defaultText(h!)).toBe('5');
  expect(defaultText({ ...h!, default: null })).toBe('');
  expect(defaultText({ ...h!, kind: 'switch', default: true })).toBe('on');
});

test.each([
  [0, 2, 'bca'],
  [2, 0, 'cab'],
  [1, 1, 'abc'],
  [0, -1, 'abc'],
  [2, 3, 'abc'],
])('from %i to %i', (from, to, result) =>
  expect(movedTo([...'abc'], from, to).join('')).toBe(result),
);
