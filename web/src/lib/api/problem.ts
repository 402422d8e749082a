/** Everything that can go wrong between this page and its server, by what the user can do about it. */
export type ProblemKind =
  'too-large' | 'not-a-picture' | 'busy' | 'key' | 'gone' | 'offline' | 'refused' | 'failed';

export class Problem extends Error {
  constructor(
    readonly kind: ProblemKind,
    /** The server's own words, in English; empty where it said nothing. */
    readonly detail = '',
    /** Seconds until another try makes sense. */
    readonly retryAfter: number | null = null,
  ) {
    super(detail || kind);
    this.name = 'Problem';
  }
}

const KINDS: Record<number, ProblemKind> = {
  401: 'key',
  413: 'too-large',
  415: 'not-a-picture',
  422: 'not-a-picture',
  429: 'busy',
  503: 'busy',
};
const DEFAULT_WAIT = 5;
const LONGEST_WAIT = 120;

/** The problem that a reply of 400 or more stands for; `body` may be RFC 9457 problem+json. */
export function problemOf(status: number, body: string, retryAfter: string | null): Problem {
  const kind = KINDS[status] ?? (status < 500 ? 'refused' : 'failed');
  return new Problem(kind, detailOf(body), kind === 'busy' ? secondsOf(retryAfter) : null);
}

function detailOf(body: string): string {
  try {
    const problem: unknown = JSON.parse(body);
    if (typeof problem !== 'object' || problem === null) return '';
    const { detail, title } = problem as { detail?: unknown; title?: unknown };
    return [detail, title].find((text) => typeof text === 'string') ?? '';
  } catch {
    return ''; // Not JSON: a proxy's error page says nothing to our users.
  }
}

function secondsOf(header: string | null): number {
  const seconds = Number(header ?? '');
  if (!header || !Number.isFinite(seconds) || seconds < 0) return DEFAULT_WAIT;
  return Math.min(Math.max(Math.ceil(seconds), 1), LONGEST_WAIT);
}

/** The problem of a request that got no reply at all. */
export function unreachable(online: boolean): Problem {
  return new Problem(online ? 'gone' : 'offline');
}
