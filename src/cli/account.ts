import { Command, Option } from "commander";
import { readAccountId } from "../directory/accounts/account.ts";
import { createAccount } from "../directory/accounts/create-account.ts";
import { NewAccount } from "../directory/accounts/settings.ts";
import type { SigningAlg } from "../secrets/signing-alg.ts";
import { signing_algs } from "../secrets/signing-alg.ts";
import { readyKeys } from "../tokens/keys/find-key.ts";
import { checkSchema } from "./check-schema.ts";
import { account_argument, actor, type Flags, type Output, print, withCore } from "./run.ts";

interface Options extends Output {
  readonly name?: string;
  readonly signingAlg: SigningAlg;
  readonly country: string;
  readonly locale: string;
}

const flags: Flags = {
  account_id: "<account_id>",
  name: "--name",
  signing_alg: "--signing-alg",
  country: "--country",
  locale: "--locale",
};

export function accountCommand(): Command {
  const create = new Command("create")
    .description("Create an account: P… for production, T… for tests.")
    .argument(...account_argument)
    .option("--name <name>", "what people call it")
    .addOption(
      new Option("--signing-alg <alg>", "algorithm of access tokens").choices([...signing_algs]).default("ES256"),
    )
    .option("--country <code>", "ISO 3166-1 alpha-2; completes phone numbers, and SMS go there", "NO")
    .option("--locale <tag>", "language of messages", "en")
    .option("--json", "print JSON")
    .action((account_id: string, options: Options) => {
      const { signingAlg: signing_alg, country, locale, name = account_id } = options;
      const settings = { signing_alg, country, locale };
      const check = async () => {
        readAccountId(account_id);
        await checkSchema(NewAccount, { account_id, name, settings });
      };
      return withCore(
        options,
        async ({ directory, tokens, storage }, { is_new }) => {
          const account = await createAccount(directory, { account_id, name, settings }, actor);
          await readyKeys(tokens, account.account_id, signing_alg, storage.now());
          const issuer = `${directory.public_url}/v1/accounts/${account.account_id}`;
          const news = is_new ? { new_installation: true } : {};
          print({ account_id: account.account_id, name, issuer, ...news }, options, [
            `Account ${account.account_id} (${name})`,
            `  issuer    ${issuer}`,
            `  next      latchkey client create ${account.account_id} --callback https://…`,
          ]);
        },
        { flags, founds: true, before: check },
      );
    });
  return new Command("account").description("Create accounts.").addCommand(create);
}
