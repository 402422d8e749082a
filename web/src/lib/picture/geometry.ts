/** Pixels of the picture; right and bottom are exclusive. */
export interface Area {
  x_min: number;
  y_min: number;
  x_max: number;
  y_max: number;
}

export interface Size {
  width: number;
  height: number;
}

export interface Point {
  x: number;
  y: number;
}

export const widthOf = (area: Area) => area.x_max - area.x_min;
export const heightOf = (area: Area) => area.y_max - area.y_min;

/** The area between two corners, whichever way it was drawn, cut to the picture. */
export function between(a: Point, b: Point, within: Size): Area {
  return cut(
    {
      x_min: Math.min(a.x, b.x),
      y_min: Math.min(a.y, b.y),
      x_max: Math.max(a.x, b.x),
      y_max: Math.max(a.y, b.y),
    },
    within,
  );
}

export function cut(area: Area, within: Size): Area {
  const x = (value: number) => Math.min(Math.max(value, 0), within.width);
  const y = (value: number) => Math.min(Math.max(value, 0), within.height);
  return {
    x_min: x(area.x_min),
    y_min: y(area.y_min),
    x_max: x(area.x_max),
    y_max: y(area.y_max),
  };
}

export function moved(area: Area, dx: number, dy: number): Area {
  return {
    x_min: area.x_min + dx,
    y_min: area.y_min + dy,
    x_max: area.x_max + dx,
    y_max: area.y_max + dy,
  };
}

/** The corners of an area as an SVG path: a quarter of each side from each corner. */
export function cornersOf(area: Area): string {
  const { x_min, y_min, x_max, y_max } = area;
  const [dx, dy] = [widthOf(area) / 4, heightOf(area) / 4];
  const corner = (x: number, y: number, alongX: number, alongY: number) =>
    `M${x} ${y + alongY}V${y}H${x + alongX}`;
  return [
    corner(x_min, y_min, dx, dy),
    corner(x_max, y_min, -dx, dy),
    corner(x_min, y_max, dx, -dy),
    corner(x_max, y_max, -dx, -dy),
  ].join('');
}

/** Intersection over union, 0..1. */
export function iou(a: Area, b: Area): number {
  const width = Math.min(a.x_max, b.x_max) - Math.max(a.x_min, b.x_min);
  const height = Math.min(a.y_max, b.y_max) - Math.max(a.y_min, b.y_min);
  if (width <= 0 || height <= 0) return 0;
  const both = width * height;
  return both / (widthOf(a) * heightOf(a) + widthOf(b) * heightOf(b) - both);
}

/** From this overlap on, two boxes are of the same face. */
export const SAME = 0.4;

/** How many of the known faces were found, each by a box of its own. */
export function matched(known: readonly Area[], found: readonly Area[]): number {
  const left = new Set(found);
  let count = 0;
  for (const truth of known) {
    const [best] = [...left].sort((a, b) => iou(b, truth) - iou(a, truth));
    if (!best || iou(best, truth) < SAME) continue;
    left.delete(best);
    count += 1;
  }
  return count;
}
