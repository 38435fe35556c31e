import { Command, InvalidArgumentError, Option } from "commander";
import { changeClient, rotateSecret } from "../directory/clients/change-client.ts";
import type { Client, UserType } from "../directory/clients/client.ts";
import { createClient } from "../directory/clients/create-client.ts";
import { listClients } from "../directory/clients/find-client.ts";
import { ClientChangeBody, NewClientBody, RotateQuery } from "../directory/clients/schema.ts";
import { type ClientSettings, grant_types, user_types } from "../directory/clients/settings.ts";
import { clientView, listedClient } from "../directory/clients/view.ts";
import { reveal } from "../secrets/secret.ts";
import { checkSchema } from "./check-schema.ts";
import { printList } from "./list.ts";
import {
  account_argument,
  actor,
  client_argument,
  type Flags,
  findNamedAccount,
  findNamedClient,
  type Output,
  print,
  withCore,
} from "./run.ts";
import { collectTyped, fieldLines, readTyped, TAKEN_SOON, type Typed, typed_argument } from "./typed.ts";

interface Options extends Output {
  readonly clientId?: string;
  readonly name?: string;
  readonly callback?: string[];
  readonly postLogoutRedirectUri?: string[];
  readonly responseType?: ClientSettings["response_types"];
  readonly grantType?: ClientSettings["grant_types"];
  readonly codeFormat?: ClientSettings["code_format"];
  readonly public?: boolean;
  readonly signup?: boolean;
  readonly firstParty?: boolean;
  readonly userType?: UserType;
}

interface SecretOptions extends Output {
  readonly overlapSeconds: string;
}

const flags: Flags = {
  account_id: "<account_id>",
  client_id: "--client-id",
  name: "--name",
  callbacks: "--callback",
  post_logout_redirect_uris: "--post-logout-redirect-uri",
  response_types: "--response-type",
  grant_types: "--grant-type",
  code_format: "--code-format",
  user_type: "--user-type",
};

const collect = (value: string, before: readonly string[] = []) => [...before, value];

/** With choices alone, the last one that is given would count. */
function collectGrantType(value: string, before: readonly string[] = []): readonly string[] {
  const known: readonly string[] = grant_types;
  if (!known.includes(value)) throw new InvalidArgumentError(`Allowed choices are ${known.join(", ")}.`);
  return collect(value, before);
}

export function clientCommand(): Command {
  return new Command("client")
    .description("Create clients, look at them, and change them.")
    .addCommand(createCommand())
    .addCommand(listCommand())
    .addCommand(showCommand())
    .addCommand(setCommand())
    .addCommand(secretCommand());
}

function createCommand(): Command {
  return new Command("create")
    .description("Create a client and print its secret, once.")
    .argument(...account_argument)
    .option("--client-id <id>", "your own name for it; else its uuid")
    .option("--name <name>", "what people see; messages name it")
    .option("--callback <url>", "where redirects may go; may be repeated", collect)
    .option("--post-logout-redirect-uri <url>", "where browsers may go after logging out; may be repeated", collect)
    .addOption(
      new Option(
        "--grant-type <type>",
        "what it may ask for at oauth/token, in place of authorization_code and client_credentials; may be repeated",
      )
        .choices(grant_types)
        .argParser(collectGrantType),
    )
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
}

function listCommand(): Command {
  return new Command("list")
    .description("List the clients of an account.")
    .argument(...account_argument)
    .option("--json", "print JSON")
    .action((account: string, options: Output) =>
      withCore(options, async ({ directory }) => {
        const { account_id } = await findNamedAccount(directory, account);
        const listing = {
          view: listedClient,
          columns: { client_id: 36, id: 36, name: 24 },
          cells: ({ client_id, id, name }: Client) => [client_id, id, name ?? ""],
          none: `${account_id} has no clients: latchkey client create ${account_id} --callback https://… makes one.`,
        };
        await printList(listClients(directory, account_id), listing, options);
      }),
    );
}

function showCommand(): Command {
  return new Command("show")
    .description("Show a client with all its settings. Its secrets are nowhere; `client secret` makes a new one.")
    .argument(...account_argument)
    .argument(...client_argument)
    .option("--json", "print JSON")
    .action((account: string, name: string, options: Output) =>
      withCore(options, async ({ directory }) => {
        const { account_id } = await findNamedAccount(directory, account);
        const client = await clientView(directory, await findNamedClient(directory, account_id, name));
        const { client_id, secrets, ...fields } = client;
        print(client, options, [`Client ${client_id}`, ...fieldLines(fields), ...secrets.map(secretLine)]);
      }),
    );
}

function setCommand(): Command {
  return new Command("set")
    .description("Change a client, as PATCH auth/clients/{id} does; `client show` lists what there is to set.")
    .argument(...account_argument)
    .argument(...client_argument)
    .argument(...typed_argument, collectTyped)
    .option("--json", "print JSON")
    .action((account: string, name: string, typed: Typed, options: Output) =>
      withCore(options, async ({ directory }) => {
        const { account_id } = await findNamedAccount(directory, account);
        const before = await findNamedClient(directory, account_id, name);
        const { name: label, description, set_by_account, ...settings } = await readTyped(ClientChangeBody, typed);
        const change = { name: label, description, settings, set_by_account };
        const client = await clientView(directory, await changeClient(directory, before, change, actor));
        const changed = Object.fromEntries(Object.entries(client).filter(([key]) => Object.hasOwn(typed, key)));
        print(client, options, [`Client ${client.client_id}: ${TAKEN_SOON}`, ...fieldLines(changed)]);
      }),
    );
}

function secretCommand(): Command {
  return new Command("secret")
    .description("Give a client a new secret and print it, once.")
    .argument(...account_argument)
    .argument(...client_argument)
    .option("--overlap-seconds <seconds>", "how long its old secrets go on beside it", "0")
    .option("--json", "print JSON")
    .action((account: string, name: string, options: SecretOptions) =>
      withCore(
        options,
        async ({ directory }) => {
          const { account_id } = await findNamedAccount(directory, account);
          const client = await findNamedClient(directory, account_id, name);
          const { overlap_seconds } = await readTyped(RotateQuery, { overlap_seconds: options.overlapSeconds });
          const { client_secret } = await rotateSecret(directory, client, overlap_seconds, actor);
          const { id, client_id } = client;
          const until = overlap_seconds === 0 ? "are over" : `go on for ${overlap_seconds} s`;
          print({ id, client_id, client_secret: reveal(client_secret), overlap_seconds }, options, [
            `Client ${client_id}`,
            `  id             ${id}`,
            `  client_secret  ${reveal(client_secret)}   (shown once)`,
            `  old secrets    ${until}`,
          ]);
        },
        { flags: { account_id: "<account_id>", overlap_seconds: "--overlap-seconds" } },
      ),
    );
}

type Shown = Awaited<ReturnType<typeof clientView>>["secrets"][number];

function secretLine({ created_at, last_used_at, not_after }: Shown): string {
  const used = last_used_at ? `last used ${last_used_at}` : "never used";
  return `  a secret made ${created_at}, ${used}${not_after ? `, ends ${not_after}` : ""}`;
}

function settingsOf(options: Options): Partial<ClientSettings> {
  const { callback, postLogoutRedirectUri, responseType, grantType } = options;
  const { codeFormat, public: open, signup, firstParty, userType } = options;
  return {
    callbacks: callback ?? [],
    ...(postLogoutRedirectUri ? { post_logout_redirect_uris: postLogoutRedirectUri } : {}),
    ...(responseType ? { response_types: responseType } : {}),
    ...(grantType ? { grant_types: grantType } : {}),
    ...(codeFormat ? { code_format: codeFormat } : {}),
    ...(open ? { token_endpoint_auth_method: "none" as const } : {}),
    ...(signup ? { signup: true } : {}),
    ...(firstParty ? { first_party: true } : {}),
    ...(userType ? { user_type: userType } : {}),
  };
}
