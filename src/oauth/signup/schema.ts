import { type Static, Type } from "typebox";
import { Agreement } from "../../directory/users/account-user-schema.ts";
import { LONGEST_NAME } from "../../directory/users/schema.ts";

const text = (description: string) => Type.Optional(Type.String({ minLength: 1, maxLength: 200, description }));

const Application = Type.Object(
  {
    email: Type.String({ minLength: 3, maxLength: 320, description: "The applicant's address; a code goes there." }),
    name: text("The applicant's name."),
    business_name: text("What the account will be called."),
    agreement: Type.Optional(Agreement),
  },
  { additionalProperties: true, description: "Further fields about the company are kept as given." },
);

/** As the API's documents have it. */
const Documented = Type.Object(
  {
    ...Type.Partial(Application).properties,
    applicant: Type.Object(
      {
        email: Application.properties.email,
        first_name: text("The applicant's."),
        last_name: text("The applicant's."),
        agreement: Type.Optional(Agreement),
      },
      { additionalProperties: true },
    ),
    company: Type.Optional(
      Type.Object(
        { business_name: Application.properties.business_name, organization_number: text("The company's.") },
        { additionalProperties: true },
      ),
    ),
  },
  { additionalProperties: true, description: "Or with the applicant apart from the company; kept as given too." },
);

export const SignupBody = Type.Union([Application, Documented]);
export type Application = Static<typeof Application>;

/** @returns undefined for a body that says it in our words. */
export function readDocumented(body: Static<typeof SignupBody>): Application | undefined {
  if ("email" in body) return undefined;
  const { applicant, company } = body as Static<typeof Documented>;
  const { email, first_name, last_name, agreement } = applicant;
  const { business_name, organization_number } = company ?? {};
  const name = [first_name, last_name].filter(Boolean).join(" ").slice(0, LONGEST_NAME) || undefined;
  const said = Object.entries({ name, agreement, business_name, organization_number });
  return { ...body, email, ...Object.fromEntries(said.filter(([, value]) => value !== undefined)) };
}

export const SignupReply = Type.Object({ id: Type.String(), email: Type.String() });

export const VerifyQuery = Type.Object({
  verification_code: Type.String({ minLength: 1, maxLength: 256 }),
  authorize: Type.Optional(Type.Enum(["Bearer"], { description: "Also log the applicant in." })),
});

export const VerifyReply = Type.Object({
  account_id: Type.String({ pattern: "^\\d{8}$", description: "Without its letter." }),
  access_token: Type.String(),
  token_type: Type.Literal("Bearer"),
  expires_in: Type.Integer(),
  refresh_token: Type.Optional(
    Type.String({ description: "Taken by oauth/token of the new account, with client_id." }),
  ),
  client_id: Type.String({ description: "The account's first client, which is public; people log in with it." }),
  email: Type.String(),
  previous_password_token: Type.String({
    description: "May be sent as the previous password, of which there is none yet.",
  }),
});

export const AcceptedReply = Type.Object({ account_id: Type.String({ pattern: "^\\d{8}$" }), email: Type.String() });
