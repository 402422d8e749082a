import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Client } from '../src/lib/api/client';
import { Problem } from '../src/lib/api/problem';
import type { JobState } from '../src/lib/api/types';
import { Following } from '../src/lib/state/filming.svelte';

const state = (now: JobState['state'], more: Partial<JobState> = {}): JobState => ({
  id: 'a',
  kind: 'footage',
  state: now,
  source: 'door.mp4',
  expires_in: 600,
  ...more,
});

/** A server that tells these states one after the other, the last for ever. */
function server(...told: (JobState | Problem)[]) {
  const removed: string[] = [];
  let asked = 0;
  const client = {
    get: () => {
      const next = told[Math.min(asked++, told.length - 1)];
      return next instanceof Problem ? Promise.reject(next) : Promise.resolve(next);
    },
    command: (path: string) =>
      Promise.resolve(state(path.endsWith('pause') ? 'paused' : 'running')),
    remove: (path: string) => Promise.resolve(void removed.push(path)),
  };
  return { client: client as unknown as Client, removed, asked: () => asked };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('a job is followed until it is done, and kept alive then', async () => {
  const { client, asked } = server(state('queued', { ahead: 1 }), state('running'), state('done'));
  const done: string[] = [];
  const work = new Following(client, (job) => Promise.resolve(void done.push(job.state)));
  const end = work.begin(() => Promise.resolve(state('queued')));
  await vi.advanceTimersByTimeAsync(500);
  expect([work.status, work.job?.ahead]).toEqual(['working', 1]);
  await vi.advanceTimersByTimeAsync(5000);
  await end;
  expect([work.status, work.finished?.state, done]).toEqual(['done', 'done', ['done']]);
  const before = asked();
  await vi.advanceTimersByTimeAsync(130_000);
  expect(asked() - before).toBe(2);
  work.leave();
  await vi.advanceTimersByTimeAsync(130_000);
  expect(asked() - before).toBe(2);
});

test('a job that failed is a problem with the reason', async () => {
  const error = { type: 'VideoError', detail: 'holds no frame' };
  const { client } = server(state('failed', { error }));
  const work = new Following(client, () => Promise.resolve());
  await work.begin(() => Promise.resolve(state('running')));
  expect([work.status, work.problem?.kind, work.problem?.detail]).toEqual([
    'failed',
    'video-failed',
    'holds no frame',
  ]);
});

test('whoever cancels leaves nothing on the server', async () => {
  const { client, removed } = server(state('running'));
  const work = new Following(client, () => Promise.resolve());
  const end = work.begin(() => Promise.resolve(state('running')));
  await vi.advanceTimersByTimeAsync(100);
  work.leave();
  expect([work.status, work.job]).toEqual(['cancelled', null]);
  await vi.advanceTimersByTimeAsync(5000);
  await end;
  expect(removed).toEqual(['/v1/jobs/a']);
  // Cancelled while the reply was still on its way.
  let answer: (job: JobState) => void = () => undefined;
  const late = work.begin(() => new Promise((resolve) => (answer = resolve)));
  work.leave();
  answer(state('queued', { id: 'b' }));
  await late;
  expect(removed).toEqual(['/v1/jobs/a', '/v1/jobs/b']);
  expect(work.job).toBeNull();
});

test('a lost line is a problem, and the job is taken up again', async () => {
  const { client } = server(new Problem('gone'), state('done'));
  const work = new Following(client, () => Promise.resolve());
  await work.begin(() => Promise.resolve(state('running')));
  expect([work.status, work.problem?.kind]).toEqual(['failed', 'gone']);
  await work.follow();
  expect([work.status, work.problem]).toEqual(['done', null]);
});

test('paused and resumed', async () => {
  const { client } = server(state('paused'));
  const work = new Following(client, () => Promise.resolve());
  void work.begin(() => Promise.resolve(state('running')));
  await vi.advanceTimersByTimeAsync(10);
  await work.pause();
  expect(work.job?.state).toBe('paused');
  await work.resume();
  expect(work.job?.state).toBe('running');
});
