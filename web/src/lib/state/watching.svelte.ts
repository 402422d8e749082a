import { isProblem, type Client, type Query } from '../api/client';
import { Problem } from '../api/problem';
import type { Listed, Result, Watchlist } from '../api/types';
import { cutOut, decoded } from '../picture/canvas';
import { Sending } from './sending.svelte';

/** The Watch-list page: the list, a search of it, and changes where the server allows them. */
export class Watching extends Sending {
  list = $state.raw<Watchlist | null>(null);
  /** Why the list cannot be shown or changed. */
  trouble = $state<Problem | null>(null);
  file = $state.raw<Blob | null>(null);
  name = $state('');
  by = $state('');
  reason = $state('');
  found = $state.raw<Result | null>(null);
  /** The faces' own pixels; empty where the browser cannot read the picture. */
  crops = $state.raw<readonly string[]>([]);
  readonly enrolling = new Sending();
  #client: Client;
  #looking: () => Query;

  constructor(client: Client, looking: () => Query) {
    super();
    this.status = this.enrolling.status = 'cancelled';
    this.#client = client;
    this.#looking = looking;
  }

  async load(): Promise<void> {
    await this.#change(async () => {
      this.list = await this.#client.get<Watchlist>('/v1/watchlist');
    });
  }

  async search(file: Blob, name: string): Promise<void> {
    this.cancel();
    this.file = file;
    this.name = name;
    this.found = null;
    this.crops = [];
    await this.again();
  }

  async again(): Promise<void> {
    const { file, name } = this;
    if (!file) return;
    this.renew();
    await this.run(async () => {
      const query = { ...this.#looking(), by: this.by || null, reason: this.reason || null };
      const found = await this.post<Result>(this.#client, '/v1/search', file, name, query);
      const picture = await decoded(file);
      if (this.file === file) {
        this.crops = picture ? found.faces.map((face) => cutOut(picture, face.box)) : [];
        this.found = found;
      }
      picture?.close();
    });
  }

  /** Whether somebody was put on the list. */
  async enrol(name: string, file: Blob, expires: string): Promise<boolean> {
    const { enrolling } = this;
    enrolling.renew();
    await enrolling.run(async () => {
      const query = { name, expires: expires || null };
      await enrolling.post<Listed>(this.#client, '/v1/watchlist', file, 'picture', query);
    });
    if (enrolling.status !== 'done') return false;
    await this.load();
    return true;
  }

  /** Whether somebody was taken off the list. */
  async remove(name: string): Promise<boolean> {
    return this.#change(async () => {
      await this.#client.remove('/v1/watchlist', { name });
      this.list = await this.#client.get<Watchlist>('/v1/watchlist');
    });
  }

  async #change(work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      this.trouble = null;
      return true;
    } catch (error) {
      this.trouble = isProblem(error) ? error : new Problem('failed', String(error));
      return false;
    }
  }
}
