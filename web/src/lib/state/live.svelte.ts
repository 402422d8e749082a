import { isProblem, type Client } from '../api/client';
import { Problem } from '../api/problem';
import type { CameraChange, LiveCamera, LiveState, Sighted } from '../api/types';

/** Events remembered, as many as the server does. */
const MOST = 200;
/** Milliseconds between two looks at the cameras' states. */
const LOOK = 1000;
/** Milliseconds before the server is asked again, the first time and at most. */
const FIRST_WAIT = 1000;
const LONGEST_WAIT = 15_000;
/** Milliseconds in which what comes first is what happened before. */
const BEFORE = 1000;
/** Milliseconds between two announcements. */
const QUIET = 5000;

/** Something that happened before a camera. */
export interface Happening {
  readonly number: number;
  /** Number of the camera. */
  readonly camera: number;
  readonly said: Sighted | CameraChange;
}

export const isSighted = (said: Sighted | CameraChange): said is Sighted => said.event !== 'camera';
const isMatch = ({ said }: Happening) => isSighted(said) && said.face.decision === 'match';

/** What is shown of all that happened: up to an event, of a camera, only who may be on the list. */
export function chosen(
  told: readonly Happening[],
  until: number | null,
  camera: number | null,
  matches: boolean,
): Happening[] {
  return told.filter(
    (one) =>
      (until === null || one.number <= until) &&
      (camera === null || one.camera === camera) &&
      (!matches || isMatch(one)),
  );
}

export interface News {
  readonly appeared: number;
  readonly left: number;
  readonly matched: number;
  /** Cameras. */
  readonly lost: number;
}

/** How often what happened, for those who hear the page and want no list read to them. */
export function newsOf(happened: readonly Happening[]): News {
  const count = (event: string) => happened.filter(({ said }) => said.event === event).length;
  const lost = happened.filter(({ said }) => !isSighted(said) && said.state === 'lost').length;
  return { appeared: count('appeared'), left: count('left'), matched: count('matched'), lost };
}

/** The Live page: the cameras, and what happens before them for as long as the page is open. */
export class Live {
  cameras = $state.raw<readonly LiveCamera[]>([]);
  searching = $state(false);
  /** Newest first. */
  told = $state.raw<readonly Happening[]>([]);
  line = $state<'opening' | 'open' | 'broken' | 'over'>('opening');
  problem = $state.raw<Problem | null>(null);
  /** The newest event when the list was paused. */
  until = $state<number | null>(null);
  /** What is new since the announcement before. */
  news = $state.raw<News>(newsOf([]));
  #last = '';
  #unsaid: Happening[] = [];
  #client: Client;

  constructor(client: Client) {
    this.#client = client;
  }

  /** Looks on until the signal. */
  watch(signal: AbortSignal): void {
    if (this.line !== 'over') this.line = 'opening';
    void this.#listen(signal);
    void this.#look(signal);
    const saying = setInterval(() => this.#announce(), QUIET);
    signal.addEventListener('abort', () => clearInterval(saying), { once: true });
  }

  pause(): void {
    this.until = this.told[0]?.number ?? 0;
  }

  resume(): void {
    this.until = null;
  }

  async #listen(signal: AbortSignal): Promise<void> {
    let wait = FIRST_WAIT;
    while (!signal.aborted && this.line !== 'over') {
      let since = Infinity;
      const opened = () => {
        this.line = 'open';
        this.problem = null;
        since = Date.now();
        wait = FIRST_WAIT;
      };
      try {
        const events = this.#client.events('/v1/live/events', this.#last, signal, opened);
        for await (const { id, event, data } of events) {
          if (event === 'end') {
            this.line = 'over';
            return;
          }
          this.#take(id, data, Date.now() - since > BEFORE);
        }
      } catch (error) {
        if (signal.aborted) return;
        this.problem = isProblem(error) ? error : new Problem('failed', String(error));
      }
      if (signal.aborted) return;
      this.line = 'broken';
      await sleep(wait, signal);
      wait = Math.min(2 * wait, LONGEST_WAIT);
    }
  }

  #take(id: string, data: string, fresh: boolean): void {
    const [number = 0, camera = 0] = id.split('-').map(Number);
    const one = { number, camera, said: JSON.parse(data) as Happening['said'] };
    this.#last = id;
    this.told = [one, ...this.told].slice(0, MOST);
    if (fresh) this.#unsaid.push(one);
  }

  #announce(): void {
    // Nothing is said of nothing, so that the same is said again when it happens again.
    this.news = newsOf(this.#unsaid);
    this.#unsaid = [];
  }

  /** While the page is seen. */
  async #look(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && this.line !== 'over') {
      if (!document.hidden) await this.#ask();
      await sleep(LOOK, signal);
    }
  }

  async #ask(): Promise<void> {
    try {
      const { cameras, searching } = await this.#client.get<LiveState>('/v1/live');
      this.cameras = cameras;
      this.searching = searching;
    } catch (error) {
      // A server that has just said that it is over need not answer any more.
      if (this.line !== 'over')
        this.problem = isProblem(error) ? error : new Problem('failed', String(error));
    }
  }
}

/** Until then or the signal, whichever is first. */
export const sleep = (milliseconds: number, signal: AbortSignal) =>
  new Promise<void>((resolve) => {
    const wake = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', wake);
      resolve();
    };
    const timer = setTimeout(wake, milliseconds);
    signal.addEventListener('abort', wake);
    if (signal.aborted) wake();
  });
