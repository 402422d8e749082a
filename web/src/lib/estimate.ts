import type { Face } from './api/types';
import type { Catalogue } from './i18n';

/** Age and gender of a face in words; null where they were not asked for. */
export function estimateOf(t: Catalogue, face: Pick<Face, 'age' | 'gender' | 'attributes'>) {
  if (face.attributes === 'insufficient_quality') return t.face.tooLittle;
  const words = [
    face.age && t.face.years(face.age.low, face.age.high),
    face.gender && t.face.genders[face.gender.value],
  ].filter(Boolean);
  return words.length ? t.face.estimated(words.join(', ')) : null;
}
