import { zipSync, type Zippable } from 'fflate';
import type { Footage, Result } from '../api/types';
import { inWindow, saveFile } from '../desktop';
import type { Entry, Job } from '../state/workspace.svelte';
import { annotated, blobOf, pictureAs } from './canvas';
import type { Area } from './geometry';

export type Format = 'png' | 'jpeg';

/** Travels with every download: the server's result as it came, and what the user changed. */
export interface Sidecar {
  result: Result;
  edits: { excluded: Area[]; added: Area[] };
  files: string[];
  saved_at: string;
  tool: string;
}

const ENDING = { png: 'png', jpeg: 'jpg' } as const;

/** A file name's stem without what file systems and shells stumble over. */
export function stemOf(name: string): string {
  const stem = name.replace(/\.[^./\\]*$/, '').replace(/[^\p{L}\p{N}._-]+/gu, '_');
  return stem.replace(/^[._]+|_+$/g, '').slice(0, 80) || 'picture';
}

export const faceName = (stem: string, entry: Entry, format: Format) =>
  `${stem}-face-${String(entry.id).padStart(3, '0')}.${ENDING[format]}`;

export function sidecarOf(job: Job, files: string[], tool: string, now: Date): Sidecar {
  if (!job.result) throw new Error('there is no result to save yet');
  const boxes = (entries: Entry[]) => entries.map((entry) => entry.box);
  // Pictures lie beside the sidecar as files; inside it they would only double its size.
  const {
    annotated: _annotated,
    crops: _crops,
    enhanced: _enhanced,
    coloured: _coloured,
    changes: _changes,
    ...result
  } = job.result;
  return {
    result,
    edits: {
      excluded: boxes(job.entries.filter((entry) => entry.excluded)),
      added: boxes(job.entries.filter((entry) => entry.byHand)),
    },
    files,
    saved_at: now.toISOString(),
    tool,
  };
}

/** Every kept crop, the picture with boxes and the sidecar, as one archive per call. */
export async function archive(jobs: readonly Job[], format: Format, tool: string): Promise<Blob> {
  const files: Zippable = {};
  const stems = new Set<string>();
  for (const job of jobs.filter((one) => one.result)) {
    const stem = unused(stemOf(job.name), stems);
    for (const [name, bytes] of Object.entries(await filesOf(job, stem, format, tool)))
      files[jobs.length > 1 ? `${stem}/${name}` : name] = [bytes, { level: 0 }];
  }
  return new Blob([zipSync(files) as Uint8Array<ArrayBuffer>], { type: 'application/zip' });
}

async function filesOf(job: Job, stem: string, format: Format, tool: string) {
  const type = `image/${format}` as const;
  const files: Record<string, Uint8Array> = {};
  for (const entry of job.kept) {
    if (!entry.crop) continue;
    const name = faceName(stem, entry, format);
    files[name] = await bytesOf(await pictureAs(entry.crop, type));
    // As the server made them: their files say by which steps.
    for (const [kind, address] of Object.entries(entry.made) as [string, string | undefined][])
      if (address)
        files[name.replace(/\.\w+$/, `-${kind}.png`)] = await bytesOf(await blobOf(address));
  }
  if (job.picture) {
    const boxes = job.kept.map((entry) => ({ box: entry.box, label: String(entry.id) }));
    const drawing = job.picture.drawn ? [] : boxes;
    files[`${stem}-annotated.${ENDING[format]}`] = await bytesOf(
      await annotated(job.picture, drawing, type, job.picture.drawn ? [] : job.bodies),
    );
  }
  const sidecar = sidecarOf(job, Object.keys(files), tool, new Date());
  files[`${stem}-result.json`] = new TextEncoder().encode(JSON.stringify(sidecar, null, 2));
  return files;
}

/** The record of a video and the pictures of everybody in it, at the paths that the record names. */
export async function footageArchive(
  found: Footage,
  picture: (path: string) => Promise<Blob>,
): Promise<Blob> {
  const files: Zippable = {
    'result.json': new TextEncoder().encode(JSON.stringify(found, null, 2)),
  };
  for (const { files: made } of found.people)
    for (const path of [...(made?.crops ?? []), made?.fused, made?.changes, made?.enhanced])
      if (path) files[path] = [await bytesOf(await picture(path)), { level: 0 }];
  return new Blob([zipSync(files) as Uint8Array<ArrayBuffer>], { type: 'application/zip' });
}

function unused(stem: string, taken: Set<string>): string {
  let name = stem;
  for (let n = 2; taken.has(name); n++) name = `${stem}-${n}`;
  taken.add(name);
  return name;
}

const bytesOf = async (blob: Blob) => new Uint8Array(await blob.arrayBuffer());

/** Hands a file to the browser's own saving, or to the desktop app's. */
export async function save(blob: Blob, name: string): Promise<void> {
  if (inWindow()) return saveFile(blob, name);
  const url = URL.createObjectURL(blob);
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  // Revoked at once, some browsers would save nothing.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
