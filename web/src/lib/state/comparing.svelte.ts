import type { Client, Query } from '../api/client';
import type { Face, Result, Verification } from '../api/types';
import { decoded, type Decoded } from '../picture/canvas';
import { Sending } from './sending.svelte';

/** One of the two pictures, with its faces once the server has found them. */
export class Side extends Sending {
  file = $state.raw<Blob | null>(null);
  name = $state('');
  /** Null where the browser cannot show the file. */
  picture = $state.raw<Decoded | null>(null);
  faces = $state.raw<readonly Face[] | null>(null);
  /** The faces' own pixels, in their order. */
  crops = $state.raw<readonly string[]>([]);
  /** Which of `faces` is meant. */
  chosen = $state(0);

  constructor() {
    super();
    this.status = 'cancelled';
  }

  get face(): Face | null {
    return this.faces?.[this.chosen] ?? null;
  }

  clear(): void {
    this.cancel();
    this.picture?.close();
    this.picture = this.file = this.faces = null;
    this.problem = null;
    this.crops = [];
    this.chosen = 0;
  }
}

/** The Compare page: two pictures, a face of each, and what the server makes of them. */
export class Comparing extends Sending {
  readonly a = new Side();
  readonly b = new Side();
  found = $state.raw<Verification | null>(null);
  #client: Client;
  #looking: () => Query;

  constructor(client: Client, looking: () => Query) {
    super();
    this.status = 'cancelled';
    this.#client = client;
    this.#looking = looking;
  }

  /** Fills the empty places, the first one first. */
  async take(files: readonly { file: Blob; name: string }[]): Promise<void> {
    const free = [this.a, this.b].filter((side) => !side.file);
    const pairs = free.flatMap((side, at) => {
      const given = files[at];
      return given ? [{ side, given }] : [];
    });
    await Promise.all(pairs.map(({ side, given }) => this.#fill(side, given.file, given.name)));
  }

  remove(side: Side): void {
    this.cancel();
    this.found = null;
    this.problem = null;
    side.clear();
  }

  async look(side: Side): Promise<void> {
    const { file } = side;
    if (!file) return;
    side.renew();
    await side.run(async () => {
      const query = { ...this.#looking(), crops: true };
      const found = await side.post<Result>(this.#client, '/v1/examine', file, side.name, query);
      if (side.file !== file) return;
      side.crops = found.crops?.map((crop) => crop.image) ?? [];
      side.faces = found.faces;
    });
    await this.start();
  }

  choose(side: Side, number: number): void {
    side.chosen = number;
    void this.start();
  }

  async start(): Promise<void> {
    const { a, b } = this;
    this.cancel();
    this.found = null;
    if (!a.file || !b.file || !a.face || !b.face) return;
    const files = { a: { file: a.file, name: a.name }, b: { file: b.file, name: b.name } };
    const query = { box_a: boxOf(a.face), box_b: boxOf(b.face) };
    this.renew();
    await this.run(async () => {
      const found = await this.postAll<Verification>(this.#client, '/v1/compare', files, query);
      if (this.a.file === files.a.file && this.b.file === files.b.file) this.found = found;
    });
  }

  async #fill(side: Side, file: Blob, name: string): Promise<void> {
    side.clear();
    side.file = file;
    side.name = name;
    const picture = await decoded(file);
    if (side.file !== file) return picture?.close();
    side.picture = picture;
    await this.look(side);
  }
}

/** As the server wants it; a face at the edge may reach beyond the picture by a fraction. */
export function boxOf({ box }: Face): string {
  return [box.x_min, box.y_min, box.x_max, box.y_max]
    .map((value) => String(Math.max(0, Number(value.toFixed(2)))))
    .join(',');
}
