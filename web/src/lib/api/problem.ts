/** Everything that can go wrong between this page and its server, by what the user can do about it. */
export type ProblemKind =
  | 'too-large'
  | 'output-too-large'
  | 'not-a-picture'
  | 'option'
  | 'has-colour'
  | 'not-installed'
  | 'no-face'
  | 'several-faces'
  | 'not-a-video'
  | 'video-too-large'
  | 'video-failed'
  | 'no-job'
  | 'not-a-result'
  | 'other-source'
  | 'other-model'
  | 'busy'
  | 'key'
  | 'gone'
  | 'offline'
  | 'refused'
  | 'failed';

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
/** What the member `reason` of the server's problem says more exactly than its status. */
const REASONS: readonly ProblemKind[] = [
  'option',
  'output-too-large',
  'has-colour',
  'not-installed',
  'no-face',
  'several-faces',
  'not-a-video',
  'video-too-large',
  'no-job',
  'not-a-result',
  'other-source',
  'other-model',
];
const DEFAULT_WAIT = 5;
const LONGEST_WAIT = 120;

/** The problem that a reply of 400 or more stands for; `body` may be RFC 9457 problem+json. */
export function problemOf(status: number, body: string, retryAfter: string | null): Problem {
  const { detail, title, reason } = membersOf(body);
  const exact = REASONS.find((one) => one === reason);
  const kind = exact ?? KINDS[status] ?? (status < 500 ? 'refused' : 'failed');
  const words = [detail, title].find((text) => typeof text === 'string') ?? '';
  return new Problem(kind, words, kind === 'busy' ? secondsOf(retryAfter) : null);
}

function membersOf(body: string): { detail?: unknown; title?: unknown; reason?: unknown } {
  try {
    const problem: unknown = JSON.parse(body);
    return typeof problem === 'object' && problem !== null ? problem : {};
  } catch {
    return {}; // Not JSON: a proxy's error page says nothing to our users.
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
