import type { Settings } from '../state/settings.svelte';
import { de } from './de';
import { en, type Catalogue } from './en';

export const catalogues: Record<Settings['language'], Catalogue> = { en, de };
export type { Catalogue };
