import type { Client } from '../api/client';
import type { KnownStep, Made } from '../api/types';
import { blobOf, decoded, type Decoded } from '../picture/canvas';
import { chainText, type EditedStep } from './chain';
import { Sending } from './sending.svelte';
import type { Server } from './server.svelte';

export const LUMINANCE = ['auto', 'on', 'off'] as const;

/** What the user asks of the Enhance page. */
export class Wishes {
  scale = $state<2 | 4>(4);
  strength = $state(1);
  luminance = $state<(typeof LUMINANCE)[number]>('auto');
  facesOnly = $state(false);
  colourise = $state(false);
  saturation = $state(1);
  /** Replace the colour that the picture has. */
  force = $state(false);
  forensic = $state(false);
  /** The user's own chain instead of the switches above. */
  ownSteps = $state(false);
  steps = $state<EditedStep[]>([]);
  #nextId = 1;

  add(name: string, values: Record<string, string> = {}): EditedStep {
    const step = { id: this.#nextId++, name, values };
    this.steps.push(step);
    return step;
  }

  /** The chain that the switches stand for. */
  simple(enhance: boolean): string {
    const chain = [];
    if (enhance)
      chain.push(
        `enhance:scale=${this.scale}:strength=${this.strength}:luminance=${this.luminance}` +
          `:faces_only=${this.facesOnly ? 'on' : 'off'}`,
      );
    if (this.colourise && !this.forensic)
      chain.push(`colourise:saturation=${this.saturation}:force=${this.force ? 'on' : 'off'}`);
    return chain.join(',');
  }
}

/** The one picture of the Enhance page; gone when the page closes. */
export class Enhancing extends Sending {
  readonly wishes = new Wishes();
  file = $state.raw<Blob | null>(null);
  name = $state('');
  /** What came in, where the browser can show it. */
  before = $state.raw<Decoded | null>(null);
  made = $state.raw<Made | null>(null);
  known = $state.raw<KnownStep[]>([]);
  #client: Client;
  #server: Server;

  constructor(client: Client, server: Server) {
    super();
    this.status = 'cancelled';
    this.#client = client;
    this.#server = server;
  }

  /** Takes a picture in and starts with the wishes as they are. */
  async take(file: Blob, name: string): Promise<void> {
    this.remove();
    this.file = file;
    this.name = name;
    this.wishes.force = false;
    const before = await decoded(file);
    if (this.file !== file) return before?.close();
    this.before = before;
    this.#fit();
    await this.start();
  }

  remove(): void {
    this.cancel();
    this.before?.close();
    this.before = this.made = this.file = null;
    this.problem = null;
  }

  get chain(): string {
    const { wishes } = this;
    return wishes.ownSteps
      ? chainText(wishes.steps, this.known)
      : wishes.simple(this.#server.scales.length > 0);
  }

  async start(): Promise<void> {
    const { file, chain } = this;
    if (!file || !chain) return;
    this.cancel();
    this.renew();
    await this.run(async () => {
      const query = {
        steps: chain,
        forensic: this.wishes.forensic,
        change_map: true,
        drift: true,
      };
      const made = await this.post<Made>(this.#client, '/v1/enhance', file, this.name, query);
      if (this.file === file) this.made = made;
    });
  }

  async loadSteps(): Promise<void> {
    if (!this.known.length) this.known = await this.#client.get<KnownStep[]>('/v1/steps');
  }

  /** The picture that was made, its bytes as the record says. */
  async picture(): Promise<Blob> {
    if (!this.made) throw new Error('there is no picture to save yet');
    return blobOf(this.made.image);
  }

  /** A result beyond the server's limit is not asked for in the first place. */
  #fit(): void {
    const { scales, limits } = this.#server;
    const { wishes, before } = this;
    const most = limits?.max_output_pixels ?? Infinity;
    const pixels = (before?.width ?? 0) * (before?.height ?? 0);
    const fits = (scale: number) => scales.includes(scale) && pixels * scale ** 2 <= most;
    if (!fits(wishes.scale)) wishes.scale = fits(4) ? 4 : fits(2) || !scales.includes(4) ? 2 : 4;
  }
}
