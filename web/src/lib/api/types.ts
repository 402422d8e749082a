export interface Face {
  box: { x_min: number; y_min: number; x_max: number; y_max: number; probability: number };
  landmarks: [number, number][];
  quality?: Quality;
}
export interface Quality {
  score: number;
  face_px: number;
  inter_eye_px: number;
  verdict: string;
  usable_for: Use[];
  sharpness: number;
  noise: number;
  brightness: number;
  contrast: number;
  blockiness: number;
  pose: { yaw: number; pitch: number; roll: number };
  at_edge: boolean;
}
export type Use = 'presence' | 'observation' | 'recognition' | 'identification';
export interface CropPicture {
  face: number;
  x: number;
  y: number;
  width: number;
  height: number;
  image: string;
}
export interface Result {
  source: string;
  sha256: string;
  width: number;
  height: number;
  faces: Face[];
  crops?: CropPicture[];
  annotated?: string;
}
export interface Health {
  status: string;
  version: string;
}
export interface Models {
  capabilities: string[];
  models: { name: string; version: string }[];
}
export interface Limits {
  max_bytes: number;
  max_pixels: number;
}
export interface Privacy {
  kept: string[];
  not_kept: string[];
  wiped: string[];
  not_wiped: string[];
}
export interface DemoScene {
  name: string;
  width: number;
  height: number;
  faces: Face['box'][];
}
