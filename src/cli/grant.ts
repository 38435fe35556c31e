import { Command, Option } from "commander";
import { issuerOf } from "../directory/accounts/account.ts";
import type { Client } from "../directory/clients/client.ts";
import { lookUpClient } from "../directory/clients/find-client.ts";
import type { Directory } from "../directory/directory.ts";
import { isAnAccountApi } from "../directory/grants/audience.ts";
import { addToGrant, createGrant, removeGrant, takeFromGrant } from "../directory/grants/change-grants.ts";
import { pageGrants } from "../directory/grants/find-grant.ts";
import type { Grant, GrantType } from "../directory/grants/grant.ts";
import { NewGrantBody } from "../directory/grants/schema.ts";
import { grantView } from "../directory/grants/view.ts";
import { Refusal, refuseField } from "../errors.ts";
import { spaceSeparated } from "../oauth/space-separated.ts";
import { checkSchema } from "./check-schema.ts";
import { printList } from "./list.ts";
import { findNamedGrant, namedScopes } from "./named-grant.ts";
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
import { warningsOf } from "./taken-scopes.ts";

interface Options extends Output {
  readonly audience?: string;
  readonly scope?: string[];
  readonly type: GrantType;
  readonly add?: boolean;
}

interface RemoveOptions extends Output {
  readonly audience?: string;
  readonly scope?: string[];
  readonly type?: GrantType;
  readonly id?: string;
}

const flags: Flags = {
  account_id: "<account_id>",
  client_id: "<client>",
  audience: "--audience",
  scope: "--scope",
  type: "--type",
};

const types: readonly GrantType[] = ["any", "authorization_code", "client_credentials", "password"];

const shown = ({ id, client_id, audience, scope, type }: Grant) => ({ id, client_id, audience, scope, type });

/** Where there is such a grant, the flag that adds to it. */
function namingAdd(error: unknown): never {
  const [fault] = error instanceof Refusal ? (error.options.errors ?? []) : [];
  throw fault?.code === "taken" ? refuseField(fault.path, fault.code, `${fault.message}, with --add`) : error;
}

export function grantCommand(): Command {
  return new Command("grant")
    .description("Create, list and remove grants: which APIs a client may ask tokens for.")
    .addCommand(createCommand())
    .addCommand(listCommand())
    .addCommand(removeCommand());
}

function createCommand(): Command {
  return new Command("create")
    .description("Let a client ask for tokens of an API.")
    .argument(...account_argument)
    .argument(...client_argument)
    .option("--audience <audience>", "the API; default: the account API")
    .option("--scope <scopes...>", "scopes, separated by spaces; after the arguments")
    .addOption(new Option("--type <type>", "kind of flow").choices(types).default("any"))
    .option("--add", "where there is such a grant, add the scopes to it")
    .option("--json", "print JSON")
    .action((account: string, client_id: string, options: Options) =>
      withCore(
        options,
        async ({ directory }) => {
          const found = await findNamedAccount(directory, account);
          const { account_id } = found;
          const { audience = issuerOf(directory.public_url, account_id), type } = options;
          // As OAuth writes them, in one text, or as words of the shell.
          const scope = (options.scope ?? []).flatMap(spaceSeparated);
          await checkSchema(NewGrantBody, { client_id, audience, scope, type });
          const client = await findNamedClient(directory, account_id, client_id);
          const make = options.add ? addToGrant : createGrant;
          const grant = await make(directory, { client, audience, scope, type }, actor).catch(namingAdd);
          const lines = [`Grant ${grant.id}`, ...linesOf(grant, client)];
          const at_account_api = isAnAccountApi(found, directory.public_url, audience);
          if (type === "any" && !at_account_api && client.settings.default_audience === null) {
            lines.push(
              `  next      latchkey client set ${account_id} ${client.client_id} default_audience=${audience}`,
              "            so that its requests mean this API where they name none",
            );
          }
          print(shown(grant), options, lines, warningsOf("--scope", scope, at_account_api));
        },
        { flags },
      ),
    );
}

function listCommand(): Command {
  return new Command("list")
    .description("List the grants of an account, or of one client.")
    .argument(...account_argument)
    .argument("[client]", "client_id or uuid")
    .option("--json", "print JSON")
    .action((account: string, name: string | undefined, options: Output) =>
      withCore(options, async ({ directory }) => {
        const { account_id } = await findNamedAccount(directory, account);
        const client = name === undefined ? undefined : await findNamedClient(directory, account_id, name);
        const whose = [account_id, client?.client_id ?? "<client>"].join(" ");
        const listing = {
          view: (grant: Grant) => grantView(directory, grant),
          ...(client
            ? { columns: { audience: 40, type: 18, scope: 38 }, cells: cellsOf }
            : {
                columns: { client: 36, audience: 24, type: 18, scope: 16 },
                cells: async (grant: Grant) => [await nameOf(directory, grant), ...cellsOf(grant)],
              }),
          none: `There is no grant: latchkey grant create ${whose} --audience … --scope … makes one.`,
        };
        await printList(pageGrants(directory, account_id, { client_id: client?.id }), listing, options);
      }),
    );
}

function removeCommand(): Command {
  return new Command("remove")
    .description("Take a grant from a client, or scopes of it. Tokens and logins that hold what is taken end.")
    .argument(...account_argument)
    .argument(...client_argument)
    .option("--audience <audience>", "the API; default: the account API")
    .option("--scope <scopes...>", "take these scopes alone, separated by spaces or commas; after the arguments")
    .addOption(new Option("--type <type>", "which, where it has several for the API").choices(types))
    .option("--id <id>", "which, by its id")
    .option("--json", "print JSON")
    .action((account: string, name: string, options: RemoveOptions) =>
      withCore(
        options,
        async ({ directory }) => {
          const found = await findNamedAccount(directory, account);
          const client = await findNamedClient(directory, found.account_id, name);
          const { audience = issuerOf(directory.public_url, found.account_id), type, id } = options;
          const there = await findNamedGrant(directory, found, client, { audience, type, id });
          const taken = options.scope && namedScopes(there, options.scope.flatMap(spaceSeparated));
          const left = taken && (await takeFromGrant(directory, there, taken, actor));
          if (!left) await removeGrant(directory, there, actor);
          const result = { ...shown(left ?? there), removed: !left, taken: taken ?? there.scope };
          print(result, options, [
            left ? `Grant ${there.id}: without ${taken?.join(" ")}` : `Grant ${there.id} is removed`,
            ...linesOf(left ?? there, client),
            `  What was issued ${left ? "with that" : "by it"} ends: at every server within five seconds.`,
          ]);
        },
        { flags },
      ),
    );
}

const linesOf = ({ audience, scope, type }: Grant, { client_id }: Client) => [
  `  client    ${client_id}`,
  `  audience  ${audience}`,
  `  scope     ${scope.join(" ") || "(none)"}`,
  `  type      ${type}`,
];

const cellsOf = ({ audience, type, scope }: Grant) => [audience, type, scope.join(" ")];

/** What people know the client by. */
async function nameOf(directory: Directory, { account_id, client_id }: Grant): Promise<string> {
  return (await lookUpClient(directory, account_id, client_id))?.client_id ?? client_id;
}
