import { expect, test } from 'vitest';
import { queryOf } from '../src/lib/api/client';
import { problemOf, unreachable } from '../src/lib/api/problem';

test.each([
  [400, 'refused'],
  [401, 'key'],
  [403, 'refused'],
  [413, 'too-large'],
  [415, 'not-a-picture'],
  [422, 'not-a-picture'],
  [429, 'busy'],
  [500, 'failed'],
  [503, 'busy'],
])('status %i is a problem of the kind %s', (status, kind) => {
  expect(problemOf(status, '', null).kind).toBe(kind);
});

test.each([
  [null, 5],
  ['', 5],
  ['Fri, 20 Nov 2026 12:00:00 GMT', 5],
  ['-3', 5],
  ['0', 1],
  ['1.2', 2],
  ['7', 7],
  ['999999', 120],
])('Retry-After %j waits %i seconds', (header, seconds) => {
  expect(problemOf(429, '', header).retryAfter).toBe(seconds);
});

test.each([
  ['', ''],
  ['<html>Bad gateway</html>', ''],
  ['null', ''],
  ['{"detail": 3, "title": "Too Large"}', 'Too Large'],
  ['{"detail": "at most 5 bytes", "title": "Too Large"}', 'at most 5 bytes'],
])('of the body %j the user reads %j', (body, detail) => {
  expect(problemOf(413, body, null).detail).toBe(detail);
});

test('no reply means that the server is gone, or that we are offline', () => {
  expect(unreachable(true).kind).toBe('gone');
  expect(unreachable(false).kind).toBe('offline');
});

test('what is left to the server is not sent', () => {
  expect(queryOf({ threshold: null, min_face: null })).toBe('');
  expect(queryOf({ crops: true, annotated: false, threshold: 0, min_face: 20 })).toBe(
    '?crops=true&threshold=0&min_face=20',
  );
});

test.each([
  [422, 'option', 'option'],
  [422, 'has-colour', 'has-colour'],
  [413, 'output-too-large', 'output-too-large'],
  [503, 'not-installed', 'not-installed'],
  [503, 'of a later version', 'busy'],
])('status %i for the reason %s is a problem of the kind %s', (status, reason, kind) => {
  const problem = problemOf(status, JSON.stringify({ detail: 'so', reason }), '3');
  expect([problem.kind, problem.detail]).toEqual([kind, 'so']);
});
