import { Command } from "commander";
import { recordDeed } from "../audit/audit.ts";
import type { SigningAlg } from "../secrets/signing-alg.ts";
import { instant, type Transaction } from "../storage/storage.ts";
import { committedKeys, keysOf } from "../tokens/keys/find-key.ts";
import type { SigningKey } from "../tokens/keys/key.ts";
import { rotateKey } from "../tokens/keys/rotate-key.ts";
import { type Hanging, resealAll } from "./reseal.ts";
import { account_argument, actor, countLines, findNamedAccount, type Output, print, withCore } from "./run.ts";

interface Options extends Output {
  readonly now?: boolean;
}

export function keysCommand(): Command {
  const rotate = new Command("rotate")
    .description(
      "Replace an account's signing keys. The new ones are published first and sign after the account's lead time.",
    )
    .argument(...account_argument)
    .option("--now", "for a key that leaked: the new one signs at once, and the old one is trusted no longer")
    .option("--json", "print JSON")
    .action((name: string, options: Options) =>
      withCore(options, async ({ directory, tokens, storage }) => {
        const { account_id, settings } = await findNamedAccount(directory, name);
        const now = storage.now();
        const immediately = options.now ?? false;
        const rotation = { publication_lead: settings.key_publication_lead, immediately };
        const deed = { account_id, action: "keys.rotated", entity: account_id, now: instant(now), actor };
        const algs = [
          ...new Set<SigningAlg>([settings.signing_alg, ...(await keysOf(tokens, account_id)).map(({ alg }) => alg)]),
        ];
        const rotated = [];
        for (const alg of algs) {
          const within = (tx: Transaction, kid: string) =>
            recordDeed(tx, { ...deed, facts: { alg, kid, immediately } });
          const kid = await rotateKey(tokens, account_id, alg, { ...rotation, within }, now);
          rotated.push({ alg, kid, ...turnOf(await committedKeys(tokens, account_id), alg) });
        }
        print({ account_id, rotated }, options, rotated.map(lineOf));
      }),
    );
  const reseal = new Command("reseal")
    .description("Move everything that is sealed to the newest master key, beside running servers.")
    .option("--json", "print JSON")
    .action((options: Output) =>
      withCore(options, async (core) => {
        const report = await resealAll(core);
        const { version, moved, hanging } = report;
        print(report, options, [
          `Sealed under ${version}`,
          ...countLines(moved, "moved"),
          ...adviceOf(hanging, core.directory.master_keys.versions.length > 1),
        ]);
      }),
    );
  return new Command("keys")
    .description("Rotate signing keys, and move to a new master key.")
    .addCommand(rotate)
    .addCommand(reseal);
}

/** When the newest key of an algorithm signs, and until when those before it verify; null where none does. */
function turnOf(keys: readonly SigningKey[], alg: SigningAlg) {
  const [newest, ...older] = keys.filter((key) => key.alg === alg).toReversed();
  const ends = older.map(({ expires_at }) => expires_at);
  return {
    signs_from: instant(newest?.active_at ?? 0),
    old_verifies_until: ends.length > 0 ? instant(Math.max(...ends)) : null,
  };
}

interface Rotated extends ReturnType<typeof turnOf> {
  readonly alg: SigningAlg;
  readonly kid: string | null;
}

function lineOf({ alg, kid, signs_from, old_verifies_until }: Rotated): string {
  const what = kid ? `new key ${kid}` : "a rotation is under way already: its key";
  const old = old_verifies_until ? `the old one verifies until ${old_verifies_until}` : "no older one verifies";
  return `${alg}  ${what} signs from ${signs_from}; ${old}`;
}

const NAMES: Readonly<Record<string, string>> = {
  verification_codes: "codes",
  contact_challenges: "changes of an address or number",
  signups: "sign-ups",
  refresh_families: "logins, each until it is refreshed or ends,",
};

/** Whether an older key may go. */
function adviceOf(hanging: Readonly<Record<string, Hanging>>, older: boolean): readonly string[] {
  const rest = Object.entries(hanging).filter(([, { count }]) => count > 0);
  if (rest.length > 0) {
    return [
      ...rest.map(
        ([table, { count, until }]) =>
          `  ${count} ${NAMES[table] ?? table} hang on an older key, the last until ${until}`,
      ),
      "  Keep that key, and run this again then.",
    ];
  }
  if (!older) return ["  There is no older key."];
  // Of what is sealed for a browser or a device, no row tells by which key.
  return [
    "  Nothing hangs on an older key: drop it from MASTER_KEY once every process has had the new one in front for ten minutes.",
  ];
}
