import { Type } from "typebox";

/** Of one grant, and of one account user: their tokens name each of them. */
export const MOST_SCOPES = 200;

/** A list of scopes, each a scope-token of RFC 6749 §3.3. */
export const scopes = Type.Array(Type.String({ pattern: "^[\\x21\\x23-\\x5B\\x5D-\\x7E]{1,200}$" }), {
  maxItems: MOST_SCOPES,
  description: "Scopes, in the words of the API that the audience names.",
});
