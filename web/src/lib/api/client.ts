import type { Area } from '../picture/geometry';
import { eventsIn, textOf, type ServerEvent } from './events';
import { Problem, problemOf, unreachable } from './problem';

/** Options as the server names them; those left to the server are null or false. */
export type Query = Record<string, string | number | boolean | null | undefined>;

export interface Named {
  readonly file: Blob;
  readonly name: string;
}

export interface Watch {
  /** Drawn by hand: the server examines these and looks for no others. */
  boxes?: readonly Area[];
  signal?: AbortSignal;
  /** Share of the picture that has left this machine, 0..1. */
  onSent?: (share: number) => void;
}

/** Speaks to the server that served this page. Every failure is a Problem or an AbortError. */
export class Client {
  #key: () => string | null;

  constructor(key: () => string | null) {
    this.#key = key;
  }

  async get<T>(path: string): Promise<T> {
    return JSON.parse(await this.#getResponse(path).then((reply) => reply.text())) as T;
  }

  async blob(path: string): Promise<Blob> {
    return (await this.#getResponse(path)).blob();
  }

  /** A picture that changes, and what to name it by when asking again; null if it is still `tag`,
   * or there is none yet. */
  async newer(path: string, tag: string, signal: AbortSignal): Promise<[Blob, string] | null> {
    const headers: HeadersInit = tag ? { 'If-None-Match': tag } : {};
    const reply = await this.#getResponse(path, 'GET', headers, signal);
    return reply.status !== 200 ? null : [await reply.blob(), reply.headers.get('ETag') ?? ''];
  }

  /** What the server tells as it happens, after the event `last`; `opened` once it listens. */
  async *events(
    path: string,
    last: string,
    signal: AbortSignal,
    opened: () => void,
  ): AsyncGenerator<ServerEvent> {
    const headers: HeadersInit = last ? { 'Last-Event-ID': last } : {};
    const reply = await this.#getResponse(path, 'GET', headers, signal);
    opened();
    try {
      yield* eventsIn(textOf(reply));
    } catch (error) {
      throw error instanceof TypeError ? unreachable(navigator.onLine) : error;
    }
  }

  /** Sends a picture; resolves with the parsed reply. */
  post<T>(path: string, file: Blob, name: string, query: Query, watch: Watch = {}) {
    return this.postAll<T>(path, { file: { file, name } }, query, watch);
  }

  /** Sends a picture under each of these names. */
  postAll<T>(path: string, files: Record<string, Named>, query: Query, watch: Watch = {}) {
    const { boxes, signal, onSent } = watch;
    const form = new FormData();
    for (const [field, { file, name }] of Object.entries(files)) form.append(field, file, name);
    if (boxes) form.append('boxes', JSON.stringify(boxes.map(cornersOf)));
    // fetch() cannot say how much of an upload has been sent.
    const request = new XMLHttpRequest();
    return new Promise<T>((resolve, reject) => {
      signal?.throwIfAborted();
      signal?.addEventListener('abort', () => request.abort(), { once: true });
      request.upload.onprogress = (event) =>
        event.lengthComputable && onSent?.(event.loaded / event.total);
      request.upload.onload = () => onSent?.(1);
      request.onabort = () => reject(new DOMException('cancelled', 'AbortError'));
      request.onerror = () => reject(unreachable(navigator.onLine));
      request.onload = () => {
        const { status, responseText } = request;
        if (status >= 400)
          reject(problemOf(status, responseText, request.getResponseHeader('Retry-After')));
        else resolve(JSON.parse(responseText) as T);
      };
      request.open('POST', path + queryOf(query));
      request.setRequestHeader('Accept', 'application/json');
      const key = this.#key();
      if (key) request.setRequestHeader('X-API-Key', key);
      request.send(form);
    });
  }

  /** Asks for something to be done that needs no picture; resolves with the parsed reply. */
  async command<T>(path: string, query: Query | URLSearchParams = {}): Promise<T> {
    const text = query instanceof URLSearchParams ? `?${query}` : queryOf(query);
    return JSON.parse(await (await this.#getResponse(path + text, 'POST')).text()) as T;
  }

  async remove(path: string, query: Query = {}): Promise<void> {
    await this.#getResponse(path + queryOf(query), 'DELETE');
  }

  async #getResponse(
    path: string,
    method = 'GET',
    more: HeadersInit = {},
    signal?: AbortSignal,
  ): Promise<Response> {
    const key = this.#key();
    const headers: HeadersInit = key ? { ...more, 'X-API-Key': key } : more;
    // What is to be wiped is wiped even if the page closes meanwhile.
    const keepalive = method === 'DELETE';
    const reply = await fetch(path, { method, headers, keepalive, signal }).catch(
      (error: unknown) => {
        throw error instanceof TypeError ? unreachable(navigator.onLine) : error;
      },
    );
    if (reply.ok || reply.status === 304) return reply;
    throw problemOf(reply.status, await reply.text(), reply.headers.get('Retry-After'));
  }
}

const cornersOf = ({ x_min, y_min, x_max, y_max }: Area) => [x_min, y_min, x_max, y_max];

/** Options left to the server are not sent. */
export function queryOf(options: Query): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(options))
    if (value !== null && value !== undefined && value !== false) query.set(name, String(value));
  return query.size ? `?${query}` : '';
}

export const isProblem = (error: unknown): error is Problem => error instanceof Problem;
