import { cornersOf, type Area } from './geometry';

/** A picture that the browser can show. */
export interface Decoded {
  readonly url: string;
  readonly width: number;
  readonly height: number;
  /** Drawn by the server with boxes in it, as the browser cannot read the file itself. */
  readonly drawn: boolean;
  readonly element: HTMLImageElement;
  close(): void;
}

/** The file as the browser reads it, turned as its EXIF says; null for formats it does not know. */
export async function decoded(file: Blob): Promise<Decoded | null> {
  const url = URL.createObjectURL(file);
  const element = new Image();
  element.src = url;
  try {
    await element.decode();
  } catch {
    URL.revokeObjectURL(url); // Such as HEIC or TIFF: the server can draw it for us.
    return null;
  }
  const close = () => URL.revokeObjectURL(url);
  const { naturalWidth: width, naturalHeight: height } = element;
  return { url, width, height, drawn: false, element, close };
}

export async function pictureAs(address: string, type: 'image/png' | 'image/jpeg'): Promise<Blob> {
  const blob = await blobOf(address);
  if (blob.type === type) return blob;
  const bitmap = await createImageBitmap(blob);
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  contextOf(canvas).drawImage(bitmap, 0, 0);
  bitmap.close();
  return canvas.convertToBlob({ type, quality: 0.95 });
}

/** The picture with numbered boxes around faces and corners around bodies. */
export async function annotated(
  picture: Decoded,
  boxes: readonly { box: Area; label: string }[],
  type: 'image/png' | 'image/jpeg',
  bodies: readonly Area[] = [],
): Promise<Blob> {
  const canvas = new OffscreenCanvas(picture.width, picture.height);
  const context = contextOf(canvas);
  context.drawImage(picture.element, 0, 0);
  const line = Math.max(1.5, Math.min(picture.width, picture.height) / 400);
  context.lineWidth = line;
  context.font = `600 ${line * 6}px sans-serif`;
  context.textBaseline = 'bottom';
  context.strokeStyle = '#60a5fa';
  for (const body of bodies) context.stroke(new Path2D(cornersOf(body)));
  for (const { box, label } of boxes) {
    context.strokeStyle = '#22c55e';
    context.strokeRect(box.x_min, box.y_min, box.x_max - box.x_min, box.y_max - box.y_min);
    const width = context.measureText(label).width + line * 3;
    context.fillStyle = '#14532d';
    context.fillRect(box.x_min - line / 2, box.y_min - line * 7, width, line * 7);
    context.fillStyle = '#ffffff';
    context.fillText(label, box.x_min + line, box.y_min);
  }
  return canvas.convertToBlob({ type, quality: 0.95 });
}

/** A part of the picture as a data URL, its pixels untouched. */
export function cutOut(picture: Decoded, { x_min, y_min, x_max, y_max }: Area): string {
  const canvas = document.createElement('canvas');
  const margin = 0.25 * (y_max - y_min);
  const [left, top] = [Math.max(0, x_min - margin), Math.max(0, y_min - margin)];
  canvas.width = Math.max(1, Math.round(Math.min(picture.width, x_max + margin) - left));
  canvas.height = Math.max(1, Math.round(Math.min(picture.height, y_max + margin) - top));
  canvas.getContext('2d')?.drawImage(picture.element, -Math.round(left), -Math.round(top));
  return canvas.toDataURL();
}

export async function blobOf(address: string): Promise<Blob> {
  if (!address.startsWith('data:')) return (await fetch(address)).blob();
  // A strict connect-src does not let fetch() read data: addresses.
  const [head = '', body = ''] = address.slice('data:'.length).split(',', 2);
  const bytes = Uint8Array.from(atob(body), (letter) => letter.charCodeAt(0));
  return new Blob([bytes], { type: head.split(';')[0] });
}

function contextOf(canvas: OffscreenCanvas): OffscreenCanvasRenderingContext2D {
  const context = canvas.getContext('2d');
  if (!context) throw new Error('this browser has no memory left for a picture of that size');
  return context;
}
