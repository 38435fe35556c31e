import type { Problem, Texts } from "./texts/texts.ts";

/** Problems that are over after a while. */
const pass: readonly Problem[] = ["too_many_requests", "too_many_wrong_codes"];

/** A problem in words, and after which time it is over; `wait` is in seconds. */
export function sayProblem(texts: Texts, problem: Problem, wait: number | undefined): string {
  const said = texts.problems[problem];
  if (!pass.includes(problem)) return said;
  return `${said} ${texts.try_again(wait === undefined ? undefined : inWords(texts, wait))}`;
}

/** Rounded up: in minutes, and from an hour and a half on in hours. */
export function inWords({ language }: Texts, seconds: number): string {
  const minutes = Math.max(1, Math.ceil(seconds / 60));
  const [unit, count] = minutes > 90 ? ["hour", Math.ceil(minutes / 60)] : ["minute", minutes];
  return new Intl.NumberFormat(language, { style: "unit", unit, unitDisplay: "long" }).format(count);
}
