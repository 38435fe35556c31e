import { Type } from "typebox";

/** A list of scopes, each a scope-token of RFC 6749 §3.3. */
export const scopes = Type.Array(Type.String({ pattern: "^[\\x21\\x23-\\x5B\\x5D-\\x7E]{1,200}$" }), {
  maxItems: 200,
  description: "Scopes, in the words of the API that the audience names.",
});
