import { expect, test } from 'vitest';
import { estimateOf } from '../src/lib/estimate';
import { catalogues } from '../src/lib/i18n';

const age = { low: 25, high: 38, estimate: 31, probability: 0.8 };
const gender = (value: 'female' | 'male' | 'undetermined') => ({ value, probability: 0.9 });

test.each([
  [{}, null, null],
  [
    { age, gender: gender('female') },
    'Estimated: 25–38 years, probably female',
    'Geschätzt: 25–38 Jahre, vermutlich weiblich',
  ],
  [
    { age, gender: gender('undetermined') },
    'Estimated: 25–38 years, gender undetermined',
    'Geschätzt: 25–38 Jahre, Geschlecht unbestimmt',
  ],
  [{ gender: gender('male') }, 'Estimated: probably male', 'Geschätzt: vermutlich männlich'],
  [
    { attributes: 'insufficient_quality' as const },
    'Too little is visible to estimate age or gender.',
    'Zu wenig ist sichtbar, um Alter oder Geschlecht zu schätzen.',
  ],
])('%j in words', (face, english, german) => {
  expect(estimateOf(catalogues.en, face)).toBe(english);
  expect(estimateOf(catalogues.de, face)).toBe(german);
});
