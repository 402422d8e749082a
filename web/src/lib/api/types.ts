import type { components } from './schema';

type Schemas = components['schemas'];

export type Result = Schemas['Examined'];
export type Face = Result['faces'][number];
export type Body = NonNullable<Result['bodies']>[number];
export type Quality = NonNullable<Face['quality']>;
export type Use = Quality['usable_for'][number];
export type Enhancement = NonNullable<Face['enhancement']>;
export type Drift = Enhancement['drift'];
export type Made = Schemas['Made'];
export type Step = Schemas['Step'];
export type StepClass = Step['class'];
export type Replayed = Schemas['Replayed'];
export type KnownStep = Schemas['KnownStep'];
export type Parameter = Schemas['Parameter'];
export type Verification = Schemas['Verification'];
export type Decision = Verification['decision'];
export type Watchlist = Schemas['List'];
export type Listed = Schemas['Listed'];
export type Privacy = Schemas['Privacy'];
export type JobState = Schemas['JobState'];
export type Footage = Schemas['Footage'];
export type FilmedPerson = Schemas['Person'];
export type Passage = Schemas['Passage'];
export type Redacted = Schemas['Redacted'];
export type Review = Schemas['Review'];
export type LiveState = Schemas['LiveState'];
export type LiveCamera = Schemas['LiveCamera'];
export type Sighted = Schemas['Sighted'];
export type CameraChange = Schemas['CameraState'];
export type DemoScene = Schemas['DemoScene'];

/** OpenAPI says of these only that they are objects. */
export interface Models {
  capabilities: string[];
  models: { name: string; task: string; version: string }[];
}

export interface Limits {
  max_bytes: number;
  max_pixels: number;
  max_output_pixels: number;
  max_video_bytes: number;
  max_video_seconds: number;
}

export interface Health {
  status: string;
  version: string;
}
