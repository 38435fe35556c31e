/** What the scripts of this repository are told on their command line. */
import { parseArgs } from "node:util";

/**
 * The options of a command, by what each may be: `true` for a flag, `"text"`, `"number"` (above 0), a list of words of
 * which it is one, or `{ severalOf: words }` for several of them, separated by commas. What was not said is undefined.
 * `--help` prints the usage and ends the process; so does an option that is wrong, with status 2 and the reason.
 */
export function optionsOf(usage, kinds) {
  try {
    const types = Object.entries({ ...kinds, help: true }).map(([name, kind]) => [
      name,
      { type: kind === true ? "boolean" : "string" },
    ]);
    const { help, ...values } = parseArgs({ options: Object.fromEntries(types) }).values;
    if (!help) return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, read(name, value)]));
  } catch (error) {
    process.stderr.write(`${error.message}\n\n${usage}\n`);
    process.exit(2);
  }
  process.stdout.write(`${usage}\n`);
  process.exit(0);

  function read(name, value) {
    const kind = kinds[name];
    if (kind === "number" && !(Number(value) > 0)) throw new Error(`--${name} is a number above 0, not "${value}"`);
    const words = Array.isArray(kind) ? [value] : kind.severalOf && value.split(",");
    const wrong = words?.find((word) => !(kind.severalOf ?? kind).includes(word));
    if (wrong !== undefined) throw new Error(`--${name} knows ${(kind.severalOf ?? kind).join(", ")}, not "${wrong}"`);
    if (kind === "number") return Number(value);
    return kind.severalOf ? words : value;
  }
}
