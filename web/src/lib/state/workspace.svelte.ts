import type { Client, Query } from '../api/client';
import type { Face, Result } from '../api/types';
import { blobOf, decoded, type Decoded } from '../picture/canvas';
import type { Area } from '../picture/geometry';
import { Sending } from './sending.svelte';

export type Task = 'examine' | 'detect';

export interface MadeOfFace {
  enhanced?: string;
  coloured?: string;
  /** What enhancing changed. */
  changes?: string;
}

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
    /** Pictures made of the crop, as addresses for <img>. */
    readonly made: MadeOfFace = {},
  ) {}

  /** The best of what was made of the crop; null where nothing was. */
  get after(): string | null {
    return this.made.coloured ?? this.made.enhanced ?? null;
  }

  /** The server sees a face there too; its landmarks are its own, not those of an average face. */
  get seen(): boolean {
    return this.face.landmarks_from == null;
  }
}

/** How much of an enhanced face is an estimate; null where it was not enhanced. */
export function detailOf(entry: Entry): 'learned' | 'generative' | null {
  const made = entry.face.enhancement;
  return made ? (made.class === 'generative' ? 'generative' : 'learned') : null;
}

/** One picture on its way through the server. */
export class Job extends Sending {
  result = $state.raw<Result | null>(null);
  entries = $state<Entry[]>([]);
  /** What the browser shows: the file itself, or the server's drawing of one it cannot read. */
  picture = $state.raw<Decoded | null>(null);
  selected = $state<number | null>(null);

  constructor(
    readonly id: number,
    readonly file: Blob,
    readonly name: string,
    readonly task: Task,
  ) {
    super();
  }

  /** Where people are; empty where they were not looked for. */
  get bodies(): Area[] {
    return this.result?.bodies?.map((body) => body.box) ?? [];
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
  #options: (task: Task) => Query;
  #nextId = 1;
  #running = false;

  constructor(client: Client, options: (task: Task) => Query) {
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
    job.cancel();
  }

  again(job: Job): void {
    if (job.status === 'busy') return job.tryNow();
    job.renew();
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
    const options = { ...this.#options('examine'), crops: true, bodies: false };
    const sent = { boxes: [box] };
    const result = await this.#client.post<Result>(
      '/v1/examine',
      job.file,
      job.name,
      options,
      sent,
    );
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
    await job.run(async () => {
      job.picture ??= await decoded(job.file);
      const options = {
        ...this.#options(job.task),
        crops: true,
        annotated: job.picture === null,
      };
      const path = `/v1/${job.task}`;
      const result = await job.post<Result>(this.#client, path, job.file, job.name, options);
      job.picture ??= result.annotated ? await drawn(result.annotated) : null;
      job.entries = [...entriesOf(result, 1, false, job.entries), ...again(result, job.entries)];
      job.result = result;
    });
  }
}

/** What was added by hand to an earlier result, behind the faces of the new one. */
function again(result: Result, earlier: readonly Entry[]): Entry[] {
  const added = earlier.filter((entry) => entry.byHand);
  return added.map(({ box, crop, face, made, hidden, excluded }, index) => {
    const entry = new Entry(result.faces.length + 1 + index, box, crop, face, true, made);
    return Object.assign(entry, { hidden, excluded });
  });
}

/** Faces in the places of `earlier` ones stay hidden or left out. */
function entriesOf(
  result: Result,
  firstId = 1,
  byHand = false,
  earlier: readonly Entry[] = [],
): Entry[] {
  const by = (pictures: Result['enhanced'] | Result['crops']) =>
    new Map(pictures?.map((one) => [one.face, one.image]));
  const crops = by(result.crops);
  const [enhanced, coloured, changes] = [result.enhanced, result.coloured, result.changes].map(by);
  return result.faces.map((face, index) => {
    const made = {
      enhanced: enhanced?.get(index),
      coloured: coloured?.get(index),
      changes: changes?.get(index),
    };
    const crop = crops.get(index) ?? null;
    const entry = new Entry(firstId + index, face.box, crop, face, byHand, made);
    const before = earlier.find(
      ({ box }) => box.x_min === face.box.x_min && box.y_min === face.box.y_min,
    );
    return Object.assign(entry, {
      hidden: before?.hidden ?? false,
      excluded: before?.excluded ?? false,
    });
  });
}

async function drawn(address: string): Promise<Decoded | null> {
  const picture = await decoded(await blobOf(address));
  return picture && { ...picture, drawn: true };
}
