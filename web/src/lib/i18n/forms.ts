type Forms = Partial<Record<Intl.LDMLPluralRule, string>> & { other: string };

/** Picks the form for a count by the rules of the language; a form `zero` always wins at 0. */
export function plural(language: string) {
  const rules = new Intl.PluralRules(language);
  const format = new Intl.NumberFormat(language);
  return (count: number, forms: Forms): string => {
    const form = count === 0 && forms.zero ? forms.zero : forms[rules.select(count)];
    return (form ?? forms.other).replaceAll('{n}', format.format(count));
  };
}

export function numbers(language: string) {
  const make = (options: Intl.NumberFormatOptions) => new Intl.NumberFormat(language, options);
  const whole = make({ maximumFractionDigits: 0 });
  const decimal = make({ maximumFractionDigits: 1 });
  const hundredths = make({ minimumFractionDigits: 2, maximumFractionDigits: 2 });
  const percent = make({ style: 'percent', maximumFractionDigits: 0 });
  const share = make({ style: 'percent', maximumFractionDigits: 1, roundingMode: 'floor' });
  const megabytes = make({ style: 'unit', unit: 'megabyte', maximumFractionDigits: 0 });
  const kilobytes = make({ style: 'unit', unit: 'kilobyte', maximumFractionDigits: 0 });
  const day = new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeZone: 'UTC' });
  const clock = new Intl.DateTimeFormat(language, { timeStyle: 'medium', hourCycle: 'h23' });
  const moment = new Intl.DateTimeFormat(language, {
    dateStyle: 'full',
    timeStyle: 'medium',
    hourCycle: 'h23',
  });
  return {
    /** Of a moment in ISO 8601, here: 18:03:12. */
    clock: (at: string) => clock.format(new Date(at)),
    /** The same with its day. */
    moment: (at: string) => moment.format(new Date(at)),
    /** Of a date as the server writes it: 2026-12-20. */
    day: (date: string) => day.format(new Date(date)),
    whole: (value: number) => whole.format(value === 0 ? 0 : value),
    decimal: (value: number) => decimal.format(value),
    hundredths: (value: number) => hundredths.format(value),
    percent: (part: number) => percent.format(part),
    /** To a tenth of a per cent, never rounded up: 99.96 % is not all. */
    share: (part: number) => share.format(part),
    bytes: (count: number) =>
      count < 1e6 ? kilobytes.format(count / 1e3) : megabytes.format(Math.floor(count / 1e6)),
  };
}
