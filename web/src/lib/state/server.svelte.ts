import { isProblem, type Client } from '../api/client';
import { Problem } from '../api/problem';
import type { DemoScene, Health, Limits, Models, Privacy } from '../api/types';

/** What the server can do and how much it takes, asked once and again after a failure. */
export class Server {
  models = $state.raw<Models | null>(null);
  limits = $state.raw<Limits | null>(null);
  privacy = $state.raw<Privacy | null>(null);
  version = $state('');
  scenes = $state.raw<DemoScene[]>([]);
  problem = $state.raw<Problem | null>(null);
  #client: Client;

  constructor(client: Client) {
    this.#client = client;
  }

  async load(): Promise<void> {
    try {
      const get = <T>(path: string) => this.#client.get<T>(path);
      const [health, models, limits, privacy] = await Promise.all([
        get<Health>('/healthz'),
        get<Models>('/v1/models'),
        get<Limits>('/v1/limits'),
        get<Privacy>('/v1/privacy'),
      ]);
      this.version = health.version;
      this.models = models;
      this.limits = limits;
      this.privacy = privacy;
      this.problem = null;
      // Composed when first asked for: nothing else waits for it.
      this.scenes = await get<DemoScene[]>('/v1/demo');
    } catch (error) {
      this.problem = isProblem(error) ? error : new Problem('failed', String(error));
    }
  }

  /** How many times pictures can be enlarged. */
  get scales(): number[] {
    const names = this.models?.models.map((model) => model.name) ?? [];
    return [2, 4].filter((scale) => names.includes(`enhancer-x${scale}`));
  }

  /** People can be found too. */
  get findsBodies(): boolean {
    return this.models?.models.some((model) => model.task === 'body-detector') ?? false;
  }

  can(capability: string): boolean {
    return this.models?.capabilities.includes(capability) ?? false;
  }
}
