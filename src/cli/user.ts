import { Command, Option } from "commander";
import type { UserType } from "../directory/clients/client.ts";
import { NewAccountUserBody } from "../directory/users/account-user-schema.ts";
import { createUser } from "../directory/users/create-user.ts";
import { findErasable } from "../directory/users/erase-user.ts";
import { isNumberShared } from "../directory/users/find-user.ts";
import { NewUserBody } from "../directory/users/schema.ts";
import type { User } from "../directory/users/user.ts";
import { type Fault, refuse, refuseField, unlessRefused } from "../errors.ts";
import { LANGUAGES, languageOf } from "../http/languages.ts";
import { spaceSeparated } from "../oauth/space-separated.ts";
import { checkSchema } from "./check-schema.ts";
import { type ErasedRows, eraseEverywhere, tryErasing } from "./erase-user.ts";
import {
  account_argument,
  actor,
  countLines,
  type Flags,
  findNamedAccount,
  type Output,
  print,
  withCore,
} from "./run.ts";
import { warningsOf } from "./taken-scopes.ts";

interface Options extends Output {
  readonly email?: string;
  readonly phoneNumber?: string;
  readonly customerId?: string;
  readonly name?: string;
  readonly locale?: string;
  readonly type: UserType;
  readonly scope?: string[];
}

const flags: Flags = {
  account_id: "<account_id>",
  email: "--email",
  phone_number: "--phone-number",
  customer_id: "--customer-id",
  name: "--name",
  locale: "--locale",
  type: "--type",
  scope: "--scope",
};

const SHARED_NUMBER: Fault = {
  path: "--phone-number",
  code: "shared",
  message: "is that of another user of this type too: neither can log in by SMS",
};

const SILENT_LOCALE: Fault = {
  path: "--locale",
  code: "language",
  message: `is no language that messages are written in (${LANGUAGES}): they use the account's`,
};

const ERASED = "Whoever was erased goes by their id alone; check the spelling of an address, number or customer_id.";

interface EraseOptions extends Output {
  readonly yes?: boolean;
}

export function userCommand(): Command {
  return new Command("user")
    .description("Create users, and erase them.")
    .addCommand(createCommand())
    .addCommand(eraseCommand());
}

function createCommand(): Command {
  return new Command("create")
    .description("Create a user whose address and number count as verified.")
    .argument(...account_argument)
    .option("--email <address>", "e-mail address")
    .option(
      "--phone-number <number>",
      "with its country code, else completed with the account's country; of two with one number neither logs in by SMS",
    )
    .option("--customer-id <id>", "your own name for the user")
    .option("--name <name>", "what people call the user")
    .option("--locale <tag>", "language of messages to the user")
    .addOption(
      new Option("--type <type>", "kind of user").choices(["customer", "company", "account_user"]).default("customer"),
    )
    .option("--scope <scopes...>", "what an account user may do, separated by spaces; after the arguments")
    .option("--json", "print JSON")
    .action((name: string, options: Options) =>
      withCore(
        options,
        async ({ directory }) => {
          const account = await findNamedAccount(directory, name);
          const { email, phoneNumber: phone_number, customerId: customer_id, type, locale } = options;
          if ([email, phone_number, customer_id].every((given) => given === undefined))
            throw refuseField("email", "required", "or --phone-number or --customer-id is required");
          const given = { email, phone_number, customer_id, name: options.name, locale };
          // A flag that was not given is no field that is nothing.
          const fields: Partial<typeof given> = Object.fromEntries(
            Object.entries(given).filter(([, value]) => value !== undefined),
          );
          const scope = options.scope?.flatMap(spaceSeparated);
          await checkSchema(NewUserBody, fields);
          if (type === "account_user") await checkSchema(NewAccountUserBody, { ...fields, scope });
          else if (scope) throw refuseField("scope", "account_user", "needs --type account_user");
          const user = await createUser(directory, account, { type, ...fields, scope, verified: true }, actor);
          const { id } = user;
          const known = (["email", "phone_number", "customer_id"] as const).filter((name) => user[name] !== null);
          const lines = [`User ${id}`, ...known.map((name) => `  ${name.padEnd(13)} ${user[name]}`)];
          const warnings = [
            ...((await isNumberShared(directory, user)) ? [SHARED_NUMBER] : []),
            ...warningsOf("--scope", scope ?? [], true),
            ...(locale === undefined || languageOf([locale]) ? [] : [SILENT_LOCALE]),
          ];
          const result = { id, type, ...Object.fromEntries(known.map((name) => [name, user[name]])) };
          print(result, options, lines, warnings);
        },
        { flags },
      ),
    );
}

function eraseCommand(): Command {
  return new Command("erase")
    .description("Erase a person for good: their logins end, and nothing says any more who they were.")
    .argument(...account_argument)
    .argument("<user>", "id, address, number or customer_id; also of a deleted user")
    .option("--yes", "erase; without it, only say what would go")
    .option("--json", "print JSON")
    .action((account_id: string, name: string, options: EraseOptions) =>
      withCore(
        options,
        async (core) => {
          const account = await findNamedAccount(core.directory, account_id);
          const user = await findErasable(core.directory, account, name).catch(unlessRefused("not_found"));
          if (!user) throw refuse("not_found", { message: `There is no user ${name} here. ${ERASED}` });
          const erased = options.yes ?? false;
          const rows = await (erased ? eraseEverywhere : tryErasing)(core, user);
          print({ id: user.id, type: user.type, erased, rows }, options, linesOf(user, erased, rows));
        },
        { flags: { ...flags, user: "<user>" } },
      ),
    );
}

function linesOf({ id, type }: User, erased: boolean, rows: ErasedRows): readonly string[] {
  return [
    erased ? `User ${id} (${type}) is erased` : `User ${id} (${type}) would be erased, for good`,
    ...countLines(rows),
    ...(erased ? [] : ["  Nothing was written: repeat it with --yes."]),
  ];
}
