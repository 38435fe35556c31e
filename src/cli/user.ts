import { Command, Option } from "commander";
import type { UserType } from "../directory/clients/client.ts";
import { NewAccountUserBody } from "../directory/users/account-user-schema.ts";
import { createUser } from "../directory/users/create-user.ts";
import { NewUserBody } from "../directory/users/schema.ts";
import { refuseField } from "../errors.ts";
import { checkSchema } from "./check-schema.ts";
import { actor, type Flags, findNamedAccount, type Output, print, withCore } from "./run.ts";

interface Options extends Output {
  readonly email?: string;
  readonly phoneNumber?: string;
  readonly customerId?: string;
  readonly name?: string;
  readonly locale?: string;
  readonly type: UserType;
}

const flags: Flags = {
  account_id: "<account_id>",
  email: "--email",
  phone_number: "--phone-number",
  customer_id: "--customer-id",
  name: "--name",
  locale: "--locale",
  type: "--type",
};

export function userCommand(): Command {
  const create = new Command("create")
    .description("Create a user whose address and number count as verified.")
    .argument("<account_id>")
    .option("--email <address>")
    .option("--phone-number <number>")
    .option("--customer-id <id>", "your own name for the user")
    .option("--name <name>")
    .option("--locale <tag>", "language of messages to the user")
    .addOption(new Option("--type <type>").choices(["customer", "company", "account_user"]).default("customer"))
    .option("--json", "print JSON")
    .action((name: string, options: Options) =>
      withCore(
        options,
        async ({ directory }) => {
          const account = await findNamedAccount(directory, name);
          const { email, phoneNumber: phone_number, customerId: customer_id, type, locale } = options;
          if ([email, phone_number, customer_id].every((given) => given === undefined))
            throw refuseField("email", "required", "or --phone-number or --customer-id is required");
          const fields = { email, phone_number, customer_id, name: options.name, locale };
          await checkSchema(NewUserBody, fields, "");
          if (type === "account_user") await checkSchema(NewAccountUserBody, fields, "");
          const { id } = await createUser(directory, account, { type, ...fields, verified: true }, actor);
          print({ id, type, ...(email ? { email } : {}), ...(phone_number ? { phone_number } : {}) }, options, [
            `User ${id}`,
            ...(email ? [`  email         ${email}`] : []),
            ...(phone_number ? [`  phone_number  ${phone_number}`] : []),
          ]);
        },
        flags,
      ),
    );
  return new Command("user").description("Users.").addCommand(create);
}
