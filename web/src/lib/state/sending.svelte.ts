import type { Client, Named, Query } from '../api/client';
import { Problem } from '../api/problem';

export type Status = 'waiting' | 'sending' | 'working' | 'busy' | 'done' | 'failed' | 'cancelled';

const TRIES = 6;

/** A picture on its way to the server and its answer on the way back, before the user's eyes. */
export class Sending {
  status = $state<Status>('waiting');
  sent = $state(0);
  /** Seconds until the next try while the server is busy. */
  retryIn = $state(0);
  problem = $state<Problem | null>(null);
  #abort = new AbortController();
  #wake: () => void = () => undefined;

  get pending(): boolean {
    return ['waiting', 'sending', 'working', 'busy'].includes(this.status);
  }

  cancel(): void {
    this.#abort.abort();
    this.#wake();
    if (this.pending) this.status = 'cancelled';
  }

  /** Ends the wait for a busy server early. */
  tryNow(): void {
    this.#wake();
  }

  /** Before another start. */
  renew(): void {
    this.#abort = new AbortController();
    this.problem = null;
    this.sent = 0;
    this.status = 'waiting';
  }

  /** Does the work and keeps what became of it; a failure is a problem to show, never thrown. */
  async run(work: () => Promise<void>): Promise<void> {
    const { signal } = this.#abort;
    try {
      this.status = 'sending';
      await work();
      signal.throwIfAborted();
      this.status = 'done';
    } catch (error) {
      // Whoever was cancelled may have been started anew since.
      if (signal !== this.#abort.signal) return;
      if (error instanceof DOMException && error.name === 'AbortError') this.status = 'cancelled';
      else {
        this.problem = error instanceof Problem ? error : new Problem('failed', String(error));
        this.status = 'failed';
      }
    }
  }

  /** The parsed answer; a busy server is tried again after the seconds it names. */
  post<T>(client: Client, path: string, file: Blob, name: string, query: Query): Promise<T> {
    return this.postAll<T>(client, path, { file: { file, name } }, query);
  }

  /** As `post` with a picture under each of these names. */
  async postAll<T>(
    client: Client,
    path: string,
    files: Record<string, Named>,
    query: Query,
  ): Promise<T> {
    const { signal } = this.#abort;
    const onSent = (share: number) => {
      if (signal.aborted) return;
      this.sent = share;
      this.status = share < 1 ? 'sending' : 'working';
    };
    for (let left = TRIES; ; left--) {
      try {
        return await client.postAll<T>(path, files, query, { signal, onSent });
      } catch (error) {
        if (!(error instanceof Problem) || error.kind !== 'busy' || left <= 1) throw error;
        await this.#wait(error.retryAfter ?? 1);
        signal.throwIfAborted();
      }
    }
  }

  /** Counts down; `tryNow` and `cancel` end it. */
  async #wait(seconds: number): Promise<void> {
    this.status = 'busy';
    this.retryIn = seconds;
    await new Promise<void>((resolve) => {
      const timer = setInterval(() => {
        this.retryIn -= 1;
        if (this.retryIn <= 0) done();
      }, 1000);
      const done = () => {
        clearInterval(timer);
        resolve();
      };
      this.#wake = done;
    });
  }
}
