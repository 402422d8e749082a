import { keepSettings } from '../desktop';

export const THEMES = ['system', 'light', 'dark'] as const;
export const ACCENTS = ['blue', 'teal', 'violet', 'rose', 'amber', 'slate'] as const;
export const FONT_SIZES = [90, 100, 110, 125, 150] as const;
export const LANGUAGES = ['en', 'de'] as const;
export const FORMATS = ['png', 'jpeg'] as const;

export interface Settings {
  theme: (typeof THEMES)[number];
  accent: (typeof ACCENTS)[number];
  /** Per cent of the browser's own size. */
  fontSize: (typeof FONT_SIZES)[number];
  language: (typeof LANGUAGES)[number];
  format: (typeof FORMATS)[number];
  /** Least detection score, 0..1; null leaves it to the server. */
  threshold: number | null;
  /** Least height of a face, pixels; null leaves it to the server. */
  minFace: number | null;
  /** Enhance small faces, where the server can. */
  enhanceFaces: boolean;
  /** Estimate the colour of faces in grey pictures, where the server can. */
  colouriseFaces: boolean;
  /** Estimate age and gender of faces, where the server can. */
  estimateFaces: boolean;
  /** Find people too, faces visible or not, where the server can. */
  findBodies: boolean;
}

const KEY = 'facecctv.settings';

export function defaults(languages: readonly string[]): Settings {
  const known = languages.map((tag) => tag.slice(0, 2).toLowerCase());
  const language = known.map((tag) => LANGUAGES.find((l) => l === tag)).find(Boolean) ?? 'en';
  return {
    theme: 'system',
    accent: 'blue',
    fontSize: 100,
    language,
    format: 'png',
    threshold: null,
    minFace: null,
    enhanceFaces: true,
    colouriseFaces: false,
    estimateFaces: false,
    findBodies: false,
  };
}

/** What was saved, where it still makes sense; everything else from `base`. */
export function restored(saved: string | null, base: Settings): Settings {
  let found: Record<string, unknown>;
  try {
    const parsed: unknown = JSON.parse(saved ?? '{}');
    found = typeof parsed === 'object' && parsed !== null ? { ...parsed } : {};
  } catch {
    found = {}; // Written by something else: the defaults stand.
  }
  const one = <T>(options: readonly T[], value: unknown, fallback: T): T =>
    options.includes(value as T) ? (value as T) : fallback;
  const number = (value: unknown, low: number, high: number): number | null =>
    typeof value === 'number' && value >= low && value <= high ? value : null;
  return {
    theme: one(THEMES, found.theme, base.theme),
    accent: one(ACCENTS, found.accent, base.accent),
    fontSize: one(FONT_SIZES, found.fontSize, base.fontSize),
    language: one(LANGUAGES, found.language, base.language),
    format: one(FORMATS, found.format, base.format),
    threshold: number(found.threshold, 0, 1),
    minFace: number(found.minFace, 1, 1000),
    enhanceFaces: one([true, false], found.enhanceFaces, base.enhanceFaces),
    colouriseFaces: one([true, false], found.colouriseFaces, base.colouriseFaces),
    estimateFaces: one([true, false], found.estimateFaces, base.estimateFaces),
    findBodies: one([true, false], found.findBodies, base.findBodies),
  };
}

/** The user's choices: kept in this browser only, applied to the page as they change. */
export class SettingsStore {
  now: Settings;
  #dark: MediaQueryList;

  constructor() {
    const base = defaults(navigator.languages);
    this.now = $state(restored(read(), base));
    this.#dark = matchMedia('(prefers-color-scheme: dark)');
    this.#dark.addEventListener('change', () => this.#apply());
    $effect.root(() => {
      $effect(() => this.#apply());
    });
  }

  reset(): void {
    Object.assign(this.now, defaults(navigator.languages));
  }

  #apply(): void {
    const { theme, accent, fontSize, language } = this.now;
    const root = document.documentElement;
    root.classList.toggle('dark', theme === 'dark' || (theme === 'system' && this.#dark.matches));
    root.dataset.accent = accent;
    root.style.fontSize = `${fontSize}%`;
    root.lang = language;
    const text = JSON.stringify(this.now);
    write(text);
    // Lost only if the desktop app's server is gone, and then the page itself is next.
    keepSettings(text).catch(() => undefined);
  }
}

// Storage throws where the browser forbids it; the page then works without memory.
function read(): string | null {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

function write(text: string): void {
  try {
    localStorage.setItem(KEY, text);
  } catch {
    return;
  }
}
