import { Command, Option } from "commander";
import { issuerOf } from "../directory/accounts/account.ts";
import { findClient } from "../directory/clients/find-client.ts";
import { addToGrant, createGrant } from "../directory/grants/change-grants.ts";
import type { Grant, GrantType } from "../directory/grants/grant.ts";
import { NewGrantBody } from "../directory/grants/schema.ts";
import { Refusal, refuseField } from "../errors.ts";
import { spaceSeparated } from "../oauth/space-separated.ts";
import { checkSchema } from "./check-schema.ts";
import { account_argument, actor, type Flags, findNamedAccount, type Output, print, withCore } from "./run.ts";

interface Options extends Output {
  readonly audience?: string;
  readonly scope?: string[];
  readonly type: GrantType;
  readonly add?: boolean;
}

const flags: Flags = {
  account_id: "<account_id>",
  client_id: "<client_id>",
  audience: "--audience",
  scope: "--scope",
  type: "--type",
};

const shown = ({ id, client_id, audience, scope, type }: Grant) => ({ id, client_id, audience, scope, type });

/** Where there is such a grant, the flag that adds to it. */
function namingAdd(error: unknown): never {
  const [fault] = error instanceof Refusal ? (error.options.errors ?? []) : [];
  throw fault?.code === "taken" ? refuseField(fault.path, fault.code, `${fault.message}, with --add`) : error;
}

export function grantCommand(): Command {
  const create = new Command("create")
    .description("Let a client ask for tokens of an API.")
    .argument(...account_argument)
    .argument("<client_id>", "client_id or uuid")
    .option("--audience <audience>", "the API; default: the account API")
    .option("--scope <scopes...>", "scopes, separated by spaces; after the arguments")
    .addOption(
      new Option("--type <type>", "kind of flow")
        .choices(["any", "authorization_code", "client_credentials", "password"])
        .default("any"),
    )
    .option("--add", "where there is such a grant, add the scopes to it")
    .option("--json", "print JSON")
    .action((account: string, client_id: string, options: Options) =>
      withCore(
        options,
        async ({ directory }) => {
          const { account_id } = await findNamedAccount(directory, account);
          const { audience = issuerOf(directory.public_url, account_id), type } = options;
          // As OAuth writes them, in one text, or as words of the shell.
          const scope = (options.scope ?? []).flatMap(spaceSeparated);
          await checkSchema(NewGrantBody, { client_id, audience, scope, type });
          const client = await findClient(directory, account_id, client_id);
          const make = options.add ? addToGrant : createGrant;
          const grant = await make(directory, { client, audience, scope, type }, actor).catch(namingAdd);
          print(shown(grant), options, [
            `Grant ${grant.id}`,
            `  client    ${client.client_id}`,
            `  audience  ${grant.audience}`,
            `  scope     ${grant.scope.join(" ") || "(none)"}`,
            `  type      ${grant.type}`,
          ]);
        },
        { flags },
      ),
    );
  return new Command("grant").description("Create grants: which APIs a client may ask tokens for.").addCommand(create);
}
