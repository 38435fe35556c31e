/** Variables of the environment whose names are a slip away from a setting, and those that only look so. */

/** What Kubernetes and Docker's links tell every container of a service, under the service's name. */
const OF_A_SERVICE =
  /_SERVICE_(HOST|PORT(_\w+)?)=|_PORT(_\d+_(TCP|UDP|SCTP))?=(tcp|udp|sctp):|_PORT_\d+_(TCP|UDP|SCTP)_\w+=/;

/** Shorter names are a slip away from too many that others use. */
const LONG_ENOUGH = 8;

/** What fingers make of a name: neighbours swapped, a letter left out or typed twice, URI for URL, one for several. */
function slips(name: string): readonly string[] {
  if (name.length < LONG_ENOUGH) return [];
  const single = [...name].flatMap((letter, index) => {
    const [before, after] = [name.slice(0, index), name.slice(index + 1)];
    return [
      `${before}${after.slice(0, 1)}${letter}${after.slice(1)}`,
      `${before}${after}`,
      `${before}${letter}${letter}${after}`,
    ];
  });
  const plural = name.endsWith("S") ? name.slice(0, -1) : `${name}S`;
  return [...single, name.replace(/URL$/, "URI"), name.replace(/IES$/, "Y"), plural];
}

/** A question to stand behind a name that is none of these, and a slip away from one of them. */
export function didYouMean(typed: string, names: readonly string[]): string {
  const meant = names.includes(typed) ? undefined : names.find((name) => slips(name).includes(typed));
  return meant === undefined ? "" : ` (did you mean ${meant}?)`;
}

/** Names that were meant to be one of these, which are ours: all that bear our prefix, and slips for one that is not set. */
export function misspelled(
  env: Readonly<Record<string, string | undefined>>,
  names: readonly string[],
): [string, string][] {
  const meanings = new Map([
    ...names.flatMap((name) => slips(name).map((slip) => [slip, name] as const)),
    ...names.map((name) => [name, name] as const),
  ]);
  return Object.keys(env)
    .filter((name) => !names.includes(name) && !OF_A_SERVICE.test(`${name}=${env[name]}`))
    .flatMap((typed): [string, string][] => {
      const meant = meanings.get(typed.replace(/^LATCHKEY_/, ""));
      if (typed.startsWith("LATCHKEY_")) return [[typed, meant ?? "one of the settings in the README"]];
      return meant !== undefined && !env[meant]?.trim() ? [[typed, meant]] : [];
    });
}
