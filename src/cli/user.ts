import { Command, Option } from "commander";
import { canonicalAccountId } from "../directory/accounts/account.ts";
import { findAccount } from "../directory/accounts/find-account.ts";
import type { UserType } from "../directory/clients/client.ts";
import { createUser } from "../directory/users/create-user.ts";
import { refuseField } from "../errors.ts";
import { actor, type Output, print, withCore } from "./run.ts";

interface Options extends Output {
  readonly email?: string;
  readonly phoneNumber?: string;
  readonly customerId?: string;
  readonly name?: string;
  readonly locale?: string;
  readonly type: UserType;
}

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
      withCore(options, async ({ directory }) => {
        const account = await findAccount(directory, canonicalAccountId(name) ?? name);
        const { email, phoneNumber: phone_number, customerId: customer_id, type, locale } = options;
        if (!email && !phone_number && !customer_id)
          throw refuseField("--email", "required", "or --phone-number or --customer-id is required");
        const input = { type, email, phone_number, customer_id, name: options.name, locale, verified: true };
        const { id } = await createUser(directory, account, input, actor);
        print({ id, type, ...(email ? { email } : {}), ...(phone_number ? { phone_number } : {}) }, options, [
          `User ${id}`,
          ...(email ? [`  email         ${email}`] : []),
          ...(phone_number ? [`  phone_number  ${phone_number}`] : []),
        ]);
      }),
    );
  return new Command("user").description("Users.").addCommand(create);
}
