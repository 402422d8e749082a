import type { Settings } from '../state/settings.svelte';

// The server judges in English, in sentences of one shape; every word of them stands here.
const OBSTACLES: readonly (readonly [RegExp, string, string])[] = [
  [
    /^small \((\d+) pixels across\)$/,
    'klein ($1 Pixel breit)',
    'Suchen Sie ein Bild, auf dem die Person näher ist',
  ],
  [/^blurred$/, 'unscharf', 'Suchen Sie ein Bild, auf dem die Person still steht oder scharf ist'],
  [/^noisy$/, 'verrauscht', 'Suchen Sie ein Bild mit mehr Licht, oder vereinen Sie mehrere Bilder'],
  [/^dark$/, 'dunkel', 'Suchen Sie ein Bild mit mehr Licht auf dem Gesicht'],
  [/^bright$/, 'hell', 'Suchen Sie ein Bild mit weniger Licht auf dem Gesicht'],
  [/^low in contrast$/, 'kontrastarm', 'Suchen Sie ein Bild ohne Dunst, Gegenlicht oder Blendung'],
  [/^strongly compressed$/, 'stark komprimiert', 'Verlangen Sie die ursprüngliche Aufnahme'],
  [
    /^far turned away$/,
    'weit abgewandt',
    'Suchen Sie ein Bild, auf dem das Gesicht zur Kamera blickt',
  ],
  [
    /^much cut off by the picture's edge$/,
    'stark vom Bildrand beschnitten',
    'Suchen Sie ein Bild, das das ganze Gesicht zeigt',
  ],
];
const SHORT_OF: Readonly<Record<string, string>> = {
  'tell whether anyone is there': 'zu sagen, ob jemand da ist',
  'see more than that somebody is there': 'mehr zu sehen, als dass jemand da ist',
  'recognise anyone': 'jemanden wiederzuerkennen',
  'identify a stranger, though someone who knows the person may recognise them':
    'eine fremde Person zu identifizieren; wer sie kennt, mag sie wiedererkennen',
};
const ENOUGH = /^Enough pixels \((\d+) across\) to identify the person/;
const TOO = /^Too (.+?) to (tell|see|recognise|identify)( .+): (.+)\.$/;

/** The server's verdict in the user's language; as it came where it has another shape. */
export function verdictIn(language: Settings['language'], verdict: string): string {
  if (language === 'en') return verdict;
  const enough = ENOUGH.exec(verdict);
  if (enough)
    return `Genug Pixel (${enough[1]} breit), um die Person zu identifizieren, wenn nichts das Gesicht verdeckt.`;
  const [, obstacle = '', verb = '', rest = ''] = TOO.exec(verdict) ?? [];
  const short = SHORT_OF[verb + rest];
  const known = OBSTACLES.find(([pattern]) => pattern.test(obstacle));
  if (!short || !known) return verdict;
  return `Zu ${obstacle.replace(known[0], known[1])}, um ${short}. ${known[2]}.`;
}
