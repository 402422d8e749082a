import type { KnownStep, Parameter } from '../api/types';

/** One step of a chain as the user edits it: texts by parameter, none where the default stands. */
export interface EditedStep {
  readonly id: number;
  readonly name: string;
  values: Record<string, string>;
}

/** The chain as the server reads it: `denoise:h=8,levels`. */
export function chainText(steps: readonly EditedStep[], known: readonly KnownStep[]): string {
  return steps
    .map(({ name, values }) => {
      const parameters = known.find((step) => step.name === name)?.parameters ?? [];
      const given = parameters
        .filter((parameter) => isGiven(parameter, values[parameter.name]))
        .map((parameter) => `${parameter.name}=${values[parameter.name]!.trim()}`);
      return [name, ...given].join(':');
    })
    .join(',');
}

/** The default as it is shown in a field. */
export function defaultText({ kind, default: value }: Parameter): string {
  if (kind === 'switch') return value ? 'on' : 'off';
  return value === null || value === undefined ? '' : String(value);
}

function isGiven(parameter: Parameter, value: string | undefined): boolean {
  const text = value?.trim() ?? '';
  return text !== '' && text !== defaultText(parameter);
}

/** Required parameters that are still empty, as `step.parameter`. */
export function missing(steps: readonly EditedStep[], known: readonly KnownStep[]): string[] {
  return steps.flatMap(({ name, values }) =>
    (known.find((step) => step.name === name)?.parameters ?? [])
      .filter((parameter) => parameter.required && !values[parameter.name]?.trim())
      .map((parameter) => `${name}.${parameter.name}`),
  );
}

/** The list with one item at another place; the same list where that is no place. */
export function movedTo<T>(list: readonly T[], from: number, to: number): T[] {
  const result = [...list];
  if (to < 0 || to >= list.length) return result;
  result.splice(to, 0, ...result.splice(from, 1));
  return result;
}
