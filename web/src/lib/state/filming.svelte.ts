import type { Client, Query } from '../api/client';
import { Problem } from '../api/problem';
import type { FilmedPerson, JobState, Redacted } from '../api/types';
import { Sending } from './sending.svelte';
import type { Server } from './server.svelte';

/** Milliseconds between two looks at a job that is at work, and at one that only must not expire. */
const LOOK = 1000;
const KEEP = 60_000;
const ENDED = ['done', 'failed', 'cancelled'];

const addressOf = (job: JobState) => `/v1/jobs/${job.id}`;
const sleep = (milliseconds: number) =>
  new Promise<void>((resolve) => setTimeout(resolve, milliseconds));

/** A job of the server before the user's eyes: begun, followed, paused, and gone when cancelled. */
export class Following extends Sending {
  job = $state.raw<JobState | null>(null);
  /** The job as it was when it was done last; it may be at work again. */
  finished = $state.raw<JobState | null>(null);
  #client: Client;
  #done: (job: JobState) => Promise<void>;

  constructor(client: Client, done: (job: JobState) => Promise<void>) {
    super();
    this.status = 'cancelled';
    this.#client = client;
    this.#done = done;
  }

  /** Begins a job and follows it to its end. */
  async begin(send: () => Promise<JobState>): Promise<void> {
    this.renew();
    this.job = this.finished = null;
    await this.run(async () => {
      const job = await send();
      if (!this.pending) {
        // Cancelled while the reply was on its way: nothing stays on the server.
        await this.#client.remove(addressOf(job));
        return;
      }
      this.job = job;
      await this.#follow(job);
    });
  }

  /** Follows a job that is at work again, or from which the line was lost. */
  async follow(): Promise<void> {
    const { job } = this;
    if (!job) return;
    this.renew();
    await this.run(() => this.#follow(job));
  }

  async pause(): Promise<void> {
    await this.#steer('pause');
  }

  async resume(): Promise<void> {
    await this.#steer('resume');
  }

  /** Gives the job up and lets the server wipe it. */
  leave(): void {
    const { job } = this;
    this.cancel();
    this.status = 'cancelled';
    this.job = this.finished = null;
    // Where the server cannot be reached the job expires by itself.
    if (job) void this.#client.remove(addressOf(job)).catch(() => undefined);
  }

  async #steer(what: 'pause' | 'resume'): Promise<void> {
    const { job } = this;
    if (!job) return;
    try {
      this.#take(job, await this.#client.command<JobState>(`${addressOf(job)}/${what}`));
    } catch {
      return; // The next look at the job meets the same trouble and shows it.
    }
  }

  async #follow(begun: JobState): Promise<void> {
    this.status = 'working';
    for (;;) {
      const job = await this.#client.get<JobState>(addressOf(begun));
      if (!this.#take(begun, job)) throw new DOMException('cancelled', 'AbortError');
      if (job.state === 'failed') throw new Problem('video-failed', job.error?.detail ?? '');
      if (job.state === 'done') break;
      await sleep(LOOK);
    }
    this.finished = this.job;
    await this.#done(this.job!);
    void this.#keep(begun);
  }

  /** Asks for the job now and then, so that it lives as long as this page. */
  async #keep(begun: JobState): Promise<void> {
    while (this.job?.id === begun.id && ENDED.includes(this.job.state)) {
      await sleep(KEEP);
      if (this.job?.id !== begun.id) return;
      try {
        await this.#client.get<JobState>(addressOf(begun));
      } catch {
        continue; // Gone or unreachable: whatever is asked of it next says so.
      }
    }
  }

  /** Whether this still is the job that the user wants. */
  #take(begun: JobState, now: JobState): boolean {
    if (this.job?.id !== begun.id) return false;
    this.job = now;
    return true;
  }
}

/** The one video of the Footage page; gone from here and from the server when it is removed. */
export class Filming extends Following {
  file = $state.raw<Blob | null>(null);
  name = $state('');
  /** For the player: the local file, nothing is fetched. */
  url = $state('');
  /** Addresses of the pictures that have been fetched, by their path below the job. */
  shots = $state<Record<string, string>>({});
  readonly redaction: Redaction;
  #client: Client;
  #server: Server;
  #options: () => Query;

  constructor(client: Client, server: Server, options: () => Query) {
    super(client, () => this.#fetchShots());
    this.#client = client;
    this.#server = server;
    this.#options = options;
    this.redaction = new Redaction(client);
    // The file is gone with the page, so what the server has of it is of no use.
    addEventListener('pagehide', () => this.remove());
  }

  get people(): readonly FilmedPerson[] {
    return this.finished?.footage?.people ?? [];
  }

  async take(file: Blob, name: string): Promise<void> {
    this.remove();
    this.file = file;
    this.name = name;
    this.url = URL.createObjectURL(file);
    await this.start();
  }

  /** Sends the video, or goes on with a job that was begun. */
  async start(): Promise<void> {
    const { file, name } = this;
    if (!file) return;
    const lost =
      this.job !== null && !['no-job', 'video-failed'].includes(this.problem?.kind ?? '');
    if (lost) return this.follow();
    const most = this.#server.limits?.max_video_bytes ?? Infinity;
    await this.begin(() => {
      if (file.size > most) throw new Problem('video-too-large');
      const query = { ...this.#options(), kind: 'footage' };
      return this.post<JobState>(this.#client, '/v1/jobs', file, name, query);
    });
  }

  remove(): void {
    this.redaction.remove();
    this.leave();
    this.#forgetShots();
    if (this.url) URL.revokeObjectURL(this.url);
    this.file = null;
    this.problem = null;
    this.url = '';
    this.name = '';
  }

  /** These are one person; the first number stays. */
  async merge(people: readonly number[]): Promise<void> {
    await this.#correct('merge', new URLSearchParams(people.map((n) => ['person', String(n)])));
  }

  /** A passage is somebody else's. */
  async split(person: number, passage: number): Promise<void> {
    const query = { person: String(person), passage: String(passage) };
    await this.#correct('split', new URLSearchParams(query));
  }

  /** A picture of a person as the server made it, fetched once. */
  async shot(path: string): Promise<Blob> {
    if (!this.job) throw new Problem('no-job');
    return this.#client.blob(`${addressOf(this.job)}/${path}`);
  }

  async #correct(how: string, query: URLSearchParams): Promise<void> {
    const { job } = this;
    if (!job) return;
    this.renew();
    await this.run(async () => {
      await this.#client.command<JobState>(`${addressOf(job)}/${how}`, query);
    });
    if (this.status !== 'done') return;
    this.#forgetShots();
    await this.follow();
  }

  /** What the cards show, one after the other so as not to crowd the server. */
  async #fetchShots(): Promise<void> {
    const { job } = this;
    for (const { files } of this.people)
      for (const path of [files?.crops[0], files?.enhanced ?? files?.fused]) {
        if (!path || this.shots[path]) continue;
        const address = URL.createObjectURL(await this.shot(path));
        if (this.job?.id !== job?.id) return URL.revokeObjectURL(address);
        this.shots[path] = address;
      }
  }

  #forgetShots(): void {
    for (const address of Object.values(this.shots)) URL.revokeObjectURL(address);
    this.shots = {};
  }
}

export const STYLES = ['solid', 'blur', 'mosaic'] as const;

/** The covered video of the Footage page. */
export class Redaction extends Following {
  wishes = $state({
    style: 'solid' as (typeof STYLES)[number],
    sound: true,
    /** Whether everybody is covered, or everybody but those who are chosen. */
    everyone: true,
    keep: [] as number[],
  });
  video = $state.raw<Blob | null>(null);
  url = $state('');
  #client: Client;

  constructor(client: Client) {
    super(client, async (job) => {
      const video = await client.blob(`${addressOf(job)}/redacted`);
      if (this.job?.id !== job.id) return;
      this.#forget();
      this.video = video;
      this.url = URL.createObjectURL(video);
    });
    this.#client = client;
  }

  get result(): Redacted | null {
    return this.video ? (this.finished?.redacted ?? null) : null;
  }

  async cover(of: JobState): Promise<void> {
    this.remove();
    const { style, sound, everyone, keep } = this.wishes;
    const query = new URLSearchParams({ style, sound: String(sound) });
    if (!everyone) for (const number of keep) query.append('keep', String(number));
    await this.begin(() => this.#client.command<JobState>(`${addressOf(of)}/redact`, query));
  }

  remove(): void {
    this.leave();
    this.problem = null;
    this.#forget();
  }

  #forget(): void {
    if (this.url) URL.revokeObjectURL(this.url);
    this.url = '';
    this.video = null;
  }
}
