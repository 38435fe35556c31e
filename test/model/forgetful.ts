import { foundCode } from "../../src/authentication/verification/redeem-rows.ts";
import type { RedeemAnswer, RedeemInput } from "../../src/authentication/verification/redeem-statement.ts";
import type { HotStatement, Storage } from "../../src/storage/storage.ts";

/**
 * The mistake that this product must not make, made on purpose: a code is read, compared, and a moment later written,
 * by two statements instead of one. @returns what undoes it.
 */
export function forgetful(storage: Storage): () => void {
  const { hot } = storage;
  const careless = async <I, O>(statement: HotStatement<I, O>, input: I): Promise<O> => {
    if (statement.name !== "redeem_code" && statement.name !== "redeem_link") return hot(statement, input);
    return (await redeem(storage, input as RedeemInput, () => hot(statement, input) as Promise<RedeemAnswer>)) as O;
  };
  Object.assign(storage, { hot: careless });
  return () => Object.assign(storage, { hot });
}

async function redeem(
  storage: Storage,
  input: RedeemInput,
  honest: () => Promise<RedeemAnswer>,
): Promise<RedeemAnswer> {
  const read = await storage.read
    .selectFrom("verification_codes")
    .selectAll()
    .where("account_id", "=", input.account_id)
    .where(
      input.kind === "link" ? "link_digest" : "typed_digest",
      "in",
      input.digests.map((digest) => Buffer.from(digest, "hex")),
    )
    .where("spent_at", "is", null)
    .where("expires_at", ">", input.now)
    .executeTakeFirst();
  if (!read) return honest();
  await new Promise((resolve) => setTimeout(resolve, 2));
  const answer = await honest();
  const code = foundCode(read as never);
  return { ...answer, won: true, code, user: answer.user ?? userOf(code.user_id) };
}

const userOf = (id: string | null) =>
  id === null
    ? null
    : {
        id,
        email: null,
        email_verified_at: null,
        phone_number: null,
        phone_verified_at: null,
        name: null,
        second_factor: 0,
      };
