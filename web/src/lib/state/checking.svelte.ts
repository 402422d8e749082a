import type { Client, Named } from '../api/client';
import type { Replayed } from '../api/types';
import { decoded, type Decoded } from '../picture/canvas';
import { Sending } from './sending.svelte';

export const PARTS = ['result', 'source'] as const;
export type Part = (typeof PARTS)[number];

/** A file that was put in, and how it looks; null where the browser cannot show it. */
export interface Given extends Named {
  picture: Decoded | null;
}

/** The page Check: a processed picture, its original, and whether the one comes of the other. */
export class Checking extends Sending {
  readonly given = $state<Record<Part, Given | null>>({ result: null, source: null });
  found = $state.raw<Replayed | null>(null);
  #client: Client;

  constructor(client: Client) {
    super();
    this.status = 'cancelled';
    this.#client = client;
  }

  /** Fills the empty places, that of the processed picture first; begins when both are there. */
  async take(files: readonly Named[]): Promise<void> {
    const free = PARTS.filter((part) => !this.given[part]);
    await Promise.all(
      free.flatMap((part, at) => {
        const file = files[at];
        return file ? [this.put(part, file)] : [];
      }),
    );
    await this.start();
  }

  async put(part: Part, { file, name }: Named): Promise<void> {
    this.remove(part);
    this.given[part] = { file, name, picture: await decoded(file) };
  }

  remove(part: Part): void {
    this.cancel();
    this.found = null;
    this.problem = null;
    this.given[part]?.picture?.close();
    this.given[part] = null;
  }

  /** The other way round. */
  async swap(): Promise<void> {
    const { result, source } = this.given;
    Object.assign(this.given, { result: source, source: result });
    await this.start();
  }

  async start(): Promise<void> {
    const { result, source } = this.given;
    this.cancel();
    this.found = null;
    if (!result || !source) return;
    this.renew();
    await this.run(async () => {
      const files = { result, source };
      const found = await this.postAll<Replayed>(this.#client, '/v1/replay', files, {});
      if (this.given.result === result && this.given.source === source) this.found = found;
    });
  }
}
