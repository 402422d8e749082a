import type { Catalogue } from './i18n';

type Words = Catalogue['verdict'];

const RARE = 1e-6; // what nobody has measured is not told more exactly
const OFTEN = 0.1;

/** How often strangers are so alike, as a person would say it. */
export function chance(words: Words, rate: number): string {
  if (rate < RARE) return words.fewer(1 / RARE);
  return rate > OFTEN ? words.share(rate) : words.oneIn(rounded(1 / rate));
}

/** The weight of the evidence, for one person or for two. */
export function likelier(words: Words, log10: number): string {
  return words.times(Math.max(1, rounded(10 ** Math.abs(log10))), log10 >= 0);
}

/** Two digits say all that there is to say. */
export function rounded(value: number): number {
  return value < 10 ? Math.round(value) : Number(value.toPrecision(2));
}
