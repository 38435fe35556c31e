import { Command, Option } from "commander";
import type { UserType } from "../directory/clients/client.ts";
import { createClient } from "../directory/clients/create-client.ts";
import { NewClientBody } from "../directory/clients/schema.ts";
import { type ClientSettings, user_types } from "../directory/clients/settings.ts";
import { reveal } from "../secrets/secret.ts";
import { checkSchema } from "./check-schema.ts";
import { account_argument, actor, type Flags, findNamedAccount, type Output, print, withCore } from "./run.ts";

interface Options extends Output {
  readonly clientId?: string;
  readonly name?: string;
  readonly callback?: string[];
  readonly responseType?: ClientSettings["response_types"];
  readonly codeFormat?: ClientSettings["code_format"];
  readonly public?: boolean;
  readonly signup?: boolean;
  readonly firstParty?: boolean;
  readonly userType?: UserType;
}

const flags: Flags = {
  account_id: "<account_id>",
  client_id: "--client-id",
  name: "--name",
  callbacks: "--callback",
  response_types: "--response-type",
  code_format: "--code-format",
  user_type: "--user-type",
};

const collect = (value: string, before: readonly string[] = []) => [...before, value];

export function clientCommand(): Command {
  const create = new Command("create")
    .description("Create a client and print its secret, once.")
    .argument(...account_argument)
    .option("--client-id <id>", "your own name for it; else its uuid")
    .option("--name <name>", "what people see; messages name it")
    .option("--callback <url>", "where redirects may go; may be repeated", collect)
    .addOption(
      new Option("--response-type <types...>", "what it may ask for; after the arguments").choices([
        "authenticate",
        "token",
        "code",
      ]),
    )
    .addOption(new Option("--code-format <format>", "format of codes").choices(["typable", "numeric"]))
    .option("--public", "a public client, without a secret")
    .option("--signup", "redeeming a code may create the user")
    .option("--first-party", "belongs to the account itself: people are not asked for consent")
    .addOption(new Option("--user-type <type>", "whom it logs in; else customers").choices(user_types))
    .option("--json", "print JSON")
    .action((account: string, options: Options) =>
      withCore(
        options,
        async ({ directory }) => {
          const { account_id } = await findNamedAccount(directory, account);
          const { clientId: client_id, name } = options;
          const settings = settingsOf(options);
          await checkSchema(NewClientBody, { client_id, name, ...settings });
          const { client, client_secret } = await createClient(
            directory,
            account_id,
            { client_id, name, settings },
            actor,
          );
          const secret = client_secret === null ? null : reveal(client_secret);
          print(
            { id: client.id, client_id: client.client_id, ...(secret === null ? {} : { client_secret: secret }) },
            options,
            [
              `Client ${client.client_id}`,
              `  id             ${client.id}`,
              ...(secret === null ? [] : [`  client_secret  ${secret}   (shown once)`]),
              `  next           latchkey grant create ${account_id} ${client.client_id} --audience … --scope …`,
            ],
          );
        },
        { flags },
      ),
    );
  return new Command("client").description("Create clients.").addCommand(create);
}

function settingsOf(options: Options): Partial<ClientSettings> {
  const { callback, responseType, codeFormat, public: open, signup, firstParty, userType } = options;
  return {
    callbacks: callback ?? [],
    ...(responseType ? { response_types: responseType } : {}),
    ...(codeFormat ? { code_format: codeFormat } : {}),
    ...(open ? { token_endpoint_auth_method: "none" as const } : {}),
    ...(signup ? { signup: true } : {}),
    ...(firstParty ? { first_party: true } : {}),
    ...(userType ? { user_type: userType } : {}),
  };
}
