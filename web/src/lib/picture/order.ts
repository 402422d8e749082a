import type { Face } from '../api/types';
import { heightOf, type Area } from './geometry';

export const SORTS = ['score', 'quality', 'size', 'place'] as const;
export const FILTERS = ['all', 'recognition', 'identification', 'excluded'] as const;
export type Sort = (typeof SORTS)[number];
export type Filter = (typeof FILTERS)[number];

interface Listed {
  readonly box: Area;
  readonly face: Face;
  readonly excluded: boolean;
}

const RANK: Record<Sort, (entry: Listed) => number> = {
  quality: (entry) => -(entry.face.quality?.score ?? -1),
  size: (entry) => -heightOf(entry.box),
  score: (entry) => -entry.face.box.probability,
  place: (entry) => entry.box.x_min,
};

/** The entries that pass the filter, in order; equal ones stay as they came. */
export function chosen<T extends Listed>(entries: readonly T[], filter: Filter, sort: Sort): T[] {
  const rank = RANK[sort];
  return entries.filter((entry) => passes(entry, filter)).sort((a, b) => rank(a) - rank(b));
}

function passes(entry: Listed, filter: Filter): boolean {
  if (filter === 'excluded') return entry.excluded;
  return filter === 'all' || (entry.face.quality?.usable_for.includes(filter) ?? false);
}
