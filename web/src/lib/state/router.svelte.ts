export const PAGES = [
  'home',
  'examine',
  'detect',
  'enhance',
  'check',
  'footage',
  'live',
  'compare',
  'watchlist',
  'showcase',
  'settings',
  'about',
  'download',
] as const;

export type Page = (typeof PAGES)[number];

/** The page that an address names after its #; null where there is no such page. */
export function pageOf(hash: string): Page | null {
  const name = hash.replace(/^#?\/?/, '').replace(/[/?].*$/, '') || 'home';
  return PAGES.find((page) => page === name) ?? null;
}

/** Where the user is. Routes live after the #, so that any server can serve them. */
export class Router {
  page = $state<Page | null>('home');

  constructor() {
    this.page = pageOf(location.hash);
    addEventListener('hashchange', () => (this.page = pageOf(location.hash)));
  }

  go(page: Page): void {
    location.hash = hrefOf(page);
  }
}

export const hrefOf = (page: Page) => (page === 'home' ? '#/' : `#/${page}`);
