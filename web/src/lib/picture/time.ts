import type { FilmedPerson, Passage } from '../api/types';
import type { Area } from './geometry';

/** Seconds as a player shows them: 3:07.5, or 1:03:07 from an hour on. */
export function clock(seconds: number): string {
  const tenths = Math.round(Math.max(0, seconds) * 10);
  const [hours, minutes] = [Math.floor(tenths / 36_000), Math.floor(tenths / 600) % 60];
  const rest = (tenths % 600) / 10;
  if (!hours) return `${minutes}:${rest.toFixed(1).padStart(4, '0')}`;
  const two = (value: number) => String(Math.floor(value)).padStart(2, '0');
  return `${hours}:${two(minutes)}:${two(rest)}`;
}

/** Where a face of a passage is at a time, between two looks on a straight line; null outside. */
export function boxAt({ path }: Passage, time: number): Area | null {
  const after = path.findIndex(([at]) => at >= time);
  if (after < 0 || (after === 0 && path[0]![0] > time)) return null;
  const [to, from] = [path[after]!, path[Math.max(0, after - 1)]!];
  const span = to[0] - from[0];
  const share = span > 0 ? (time - from[0]) / span : 1;
  const [x_min, y_min, x_max, y_max] = [1, 2, 3, 4].map(
    (at) => from[at]! + share * (to[at]! - from[at]!),
  ) as [number, number, number, number];
  return { x_min, y_min, x_max, y_max };
}

/** Everybody in the picture at a time, with where. */
export function seenAt(people: readonly FilmedPerson[], time: number) {
  return people.flatMap((person) =>
    person.passages.flatMap((passage) => {
      const box = boxAt(passage, time);
      return box ? [{ person: person.number, box }] : [];
    }),
  );
}

/** Left edge and width of a stretch of time on a line, in per cent. */
export function stretch(first: number, last: number, duration: number) {
  const whole = Math.max(duration, 1e-3);
  const left = Math.min(Math.max(0, (100 * first) / whole), 100);
  return { left, width: Math.min((100 * Math.max(0, last - first)) / whole, 100 - left) };
}
