import type { Client, ExamineOptions } from '../api/client';
import { Problem } from '../api/problem';
import type { Face, Result } from '../api/types';
import { blobOf, decoded, type Decoded } from '../picture/canvas';
import type { Area } from '../picture/geometry';

export type Status = 'waiting' | 'sending' | 'working' | 'busy' | 'done' | 'failed' | 'cancelled';
export type Task = 'examine' | 'detect';

const TRIES = 6;

/** One face of one picture, with what the user decided about it. */
export class Entry {
  /** Its box is not drawn; it stays in the results. */
  hidden = $state(false);
  /** It is none, or nobody's business: left out of downloads. */
  excluded = $state(false);

  constructor(
    readonly id: number,
    readonly box: Area,
    /** Native pixels as an address for <img>; null where the server sent none. */
    readonly crop: string | null,
    readonly face: Face,
    readonly byHand: boolean,
  ) {}

  /** The server sees a face there too; its landmarks are its own, not those of an average face. */
  get seen(): boolean {
    return this.face.landmarks_from == null;
  }
}

/** One picture on its way through the server. */
export class Job {
  status = $state<Status>('waiting');
  sent = $state(0);
  /** Seconds until the next try while the server is busy. */
  retryIn = $state(0);
  problem = $state<Problem | null>(null);
  result = $state.raw<Result | null>(null);
  entries = $state<Entry[]>([]);
  /** What the browser shows: the file itself, or the server's drawing of one it cannot read. */
  picture = $state.raw<Decoded | null>(null);
  selected = $state<number | null>(null);
  abort = new AbortController();
  wake: () => void = () => undefined;

  constructor(
    readonly id: number,
    readonly file: Blob,
    readonly name: string,
    readonly task: Task,
  ) {}

  get pending(): boolean {
    return ['waiting', 'sending', 'working', 'busy'].includes(this.status);
  }

  get kept(): Entry[] {
    return this.entries.filter((entry) => !entry.excluded);
  }
}

/** The pictures of this visit, sent one after the other; gone when the page closes. */
export class Workspace {
  jobs = $state<Job[]>([]);
  currentId = $state<number | null>(null);
  current = $derived(this.jobs.find((job) => job.id === this.currentId) ?? this.jobs[0] ?? null);
  #client: Client;
  #options: () => ExamineOptions;
  #nextId = 1;
  #running = false;

  constructor(client: Client, options: () => ExamineOptions) {
    this.#client = client;
    this.#options = options;
  }

  add(files: readonly { file: Blob; name: string }[], task: Task): void {
    const jobs = files.map(({ file, name }) => new Job(this.#nextId++, file, name, task));
    this.jobs.push(...jobs);
    if (jobs[0]) this.currentId = jobs[0].id;
    void this.#run();
  }

  cancel(job: Job): void {
    job.abort.abort();
    job.wake();
    if (job.pending) job.status = 'cancelled';
  }

  again(job: Job): void {
    if (job.status === 'busy') return job.wake();
    job.abort = new AbortController();
    job.problem = null;
    job.sent = 0;
    job.status = 'waiting';
    void this.#run();
  }

  remove(job: Job): void {
    this.cancel(job);
    job.picture?.close();
    this.jobs = this.jobs.filter((other) => other !== job);
  }

  clear(): void {
    for (const job of [...this.jobs]) this.remove(job);
    this.currentId = null;
  }

  /** A box drawn by hand: the server looks closely there, and the box stays anyway. */
  async addByHand(job: Job, box: Area): Promise<Entry> {
    const options = { crops: true, boxes: [box] };
    const result = await this.#client.post<Result>('/v1/examine', job.file, job.name, options);
    const entry = entriesOf(result, job.entries.length + 1, true)[0]!;
    job.entries.push(entry);
    job.selected = entry.id;
    return entry;
  }

  async #run(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    let job: Job | undefined;
    while ((job = this.jobs.find((waiting) => waiting.status === 'waiting'))) await this.#do(job);
    this.#running = false;
  }

  async #do(job: Job): Promise<void> {
    try {
      job.status = 'sending';
      job.picture ??= await decoded(job.file);
      await this.#send(job);
    } catch (error) {
      if (error instanceof DOMException && error.name === 'AbortError') job.status = 'cancelled';
      else {
        job.problem = error instanceof Problem ? error : new Problem('failed', String(error));
        job.status = 'failed';
      }
    }
  }

  async #send(job: Job): Promise<void> {
    const options = { ...this.#options(), crops: true, annotated: job.picture === null };
    for (let left = TRIES; ; left--) {
      try {
        const watch = { signal: job.abort.signal, onSent: (share: number) => sentOf(job, share) };
        const result = await this.#client.post<Result>(
          `/v1/${job.task}`,
          job.file,
          job.name,
          options,
          watch,
        );
        job.picture ??= result.annotated ? await drawn(result.annotated) : null;
        job.entries = entriesOf(result);
        job.result = result;
        job.status = 'done';
        return;
      } catch (error) {
        if (!(error instanceof Problem) || error.kind !== 'busy' || left <= 1) throw error;
        await waited(job, error.retryAfter ?? 1);
        job.abort.signal.throwIfAborted();
      }
    }
  }
}

function entriesOf(result: Result, firstId = 1, byHand = false): Entry[] {
  const crops = new Map(result.crops?.map((crop) => [crop.face, crop.image]));
  return result.faces.map(
    (face, index) => new Entry(firstId + index, face.box, crops.get(index) ?? null, face, byHand),
  );
}

function sentOf(job: Job, share: number): void {
  job.sent = share;
  job.status = share < 1 ? 'sending' : 'working';
}

async function drawn(address: string): Promise<Decoded | null> {
  const picture = await decoded(await blobOf(address));
  return picture && { ...picture, drawn: true };
}

/** Counts down before the eyes of the user; waking the job ends it early. */
async function waited(job: Job, seconds: number): Promise<void> {
  job.status = 'busy';
  job.retryIn = seconds;
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      job.retryIn -= 1;
      if (job.retryIn <= 0) done();
    }, 1000);
    const done = () => {
      clearInterval(timer);
      resolve();
    };
    job.wake = done;
  });
}
