import { Command, Option } from "commander";
import { type Account, issuerOf, readAccountId } from "../directory/accounts/account.ts";
import { changeSettings } from "../directory/accounts/change-settings.ts";
import { checkAccountSettings } from "../directory/accounts/check-settings.ts";
import { createAccount } from "../directory/accounts/create-account.ts";
import { listAccounts } from "../directory/accounts/find-account.ts";
import { AccountChange, NewAccountFields } from "../directory/accounts/settings.ts";
import type { Directory } from "../directory/directory.ts";
import { isAnAccountApi } from "../directory/grants/audience.ts";
import type { SigningAlg } from "../secrets/signing-alg.ts";
import { signing_algs } from "../secrets/signing-alg.ts";
import { readyKeys } from "../tokens/keys/find-key.ts";
import { checkSchema } from "./check-schema.ts";
import { printList } from "./list.ts";
import { account_argument, actor, type Flags, findNamedAccount, type Output, print, withCore } from "./run.ts";
import { warningsOf } from "./taken-scopes.ts";
import { collectTyped, fieldLines, readTyped, TAKEN_SOON, type Typed, typed_argument } from "./typed.ts";

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
  return new Command("account")
    .description("Create accounts, look at them, and change their settings.")
    .addCommand(createCommand())
    .addCommand(listCommand())
    .addCommand(showCommand())
    .addCommand(setCommand());
}

function createCommand(): Command {
  return new Command("create")
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
        await checkSchema(NewAccountFields, { account_id, name, settings });
        await checkAccountSettings(readAccountId(account_id), settings);
      };
      return withCore(
        options,
        async ({ directory, tokens, storage }, { is_new }) => {
          const account = await createAccount(directory, { account_id, name, settings }, actor);
          await readyKeys(tokens, account.account_id, signing_alg, storage.now());
          const issuer = issuerOf(directory.public_url, account.account_id);
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
}

function listCommand(): Command {
  return new Command("list")
    .description("List the accounts.")
    .option("--json", "print JSON")
    .action((options: Output) =>
      withCore(options, ({ directory }) => {
        const listing = {
          view: (account: Omit<Account, "settings">) => ({ ...account, issuer: issuerAt(directory, account) }),
          columns: { account_id: 10, name: 60, created_at: 24 },
          cells: ({ account_id, name, created_at }: Omit<Account, "settings">) => [account_id, name, created_at],
          none: "There is no account yet: latchkey account create P11200001 --name … makes one.",
        };
        return printList(listAccounts(directory), listing, options);
      }),
    );
}

function showCommand(): Command {
  return new Command("show")
    .description("Show an account with all its settings.")
    .argument(...account_argument)
    .option("--json", "print JSON")
    .action((name: string, options: Output) =>
      withCore(options, async ({ directory }) => {
        const shown = view(directory, await findNamedAccount(directory, name));
        const { account_id, settings, ...fields } = shown;
        print(shown, options, [`Account ${account_id}`, ...fieldLines({ ...fields, ...settings })]);
      }),
    );
}

function setCommand(): Command {
  return new Command("set")
    .description("Change the name of an account, or settings, as PATCH auth/settings does; `account show` lists them.")
    .argument(...account_argument)
    .argument(...typed_argument, collectTyped)
    .option("--json", "print JSON")
    .action((name: string, typed: Typed, options: Output) =>
      withCore(options, async ({ directory }) => {
        const { account_id } = await findNamedAccount(directory, name);
        const change = await readTyped(AccountChange, typed);
        const account = await changeSettings(directory, account_id, change, actor);
        const shown = view(directory, account);
        const changed = Object.fromEntries(
          Object.entries({ name: shown.name, ...shown.settings }).filter(([key]) => Object.hasOwn(typed, key)),
        );
        const warnings = Object.entries(change.public_client_grants ?? {}).flatMap(([audience, scope]) =>
          warningsOf("public_client_grants", scope, isAnAccountApi(account, directory.public_url, audience)),
        );
        print(shown, options, [`Account ${account_id}: ${TAKEN_SOON}`, ...fieldLines(changed)], warnings);
      }),
    );
}

const issuerAt = ({ public_url }: Directory, { account_id }: Pick<Account, "account_id">) =>
  issuerOf(public_url, account_id);

function view(directory: Directory, account: Account) {
  const { account_id, name, settings, created_at, updated_at } = account;
  return { account_id, name, issuer: issuerAt(directory, account), created_at, updated_at, settings };
}
