import { expect, it } from "vitest";
import type { Account } from "../accounts/account.ts";
import type { Directory } from "../directory.ts";
import { matchGrant } from "./find-grant.ts";
import type { Grant } from "./grant.ts";

const audience = "https://orders.example";
const oidc = { client_id: "us", authority: "https://login.example" };
const [any, of_flow, at_provider, of_all] = [
  { id: "any", audience, type: "any", oidc: null },
  { id: "of the flow", audience, type: "authorization_code", oidc: null },
  { id: "at a provider", audience, type: "authorization_code", oidc },
  { id: "", audience, type: "authorization_code", oidc: null },
] as const satisfies readonly Pick<Grant, "id" | "audience" | "type" | "oidc">[];

it("the grant for a flow is the one that was made for it, whichever was first, and one with a provider the last", () => {
  const directory = { public_url: "https://us.example" } as Directory;
  const account = { account_id: "T11200001", settings: { api_audiences: [] as string[] } } as unknown as Account;
  const match = (...grants: readonly Pick<Grant, "id" | "audience" | "type" | "oidc">[]) =>
    matchGrant(directory, account, grants, audience, "authorization_code")?.id;
  const order = [of_flow, any, of_all, at_provider];
  for (const [n, best] of order.entries())
    for (const other of order.slice(n)) {
      expect(match(best, other), `${best.id} before ${other.id}`).toBe(best.id);
      expect(match(other, best), `${best.id} after ${other.id}`).toBe(best.id);
    }
  expect(match({ ...of_flow, type: "password" }, { ...any, audience: "https://other.example" })).toBeUndefined();
  expect(match({ ...of_flow, id: "another" }, of_flow), "the first made").toBe("another");
});

it("of grants that are alike the one for a flow has the name that is asked for, else it is the first made", () => {
  const directory = { public_url: "https://us.example" } as Directory;
  const [issuer, former] = ["https://us.example/v1/accounts/T11200001", "https://api.former.example"];
  const account = { account_id: "T11200001", settings: { api_audiences: [former] } } as unknown as Account;
  const grants = [former, issuer].map((audience) => ({ ...any, audience }));
  const asked = [issuer, former, "https://api.dintero.com/v1/accounts/T11200001"];
  const found = asked.map((name) => matchGrant(directory, account, grants, name, "client_credentials")?.audience);
  expect(found).toEqual([issuer, former, former]);
  const of_the_flow = [...grants, { ...of_flow, audience: former }];
  expect(matchGrant(directory, account, of_the_flow, issuer, "authorization_code")?.id).toBe(of_flow.id);
});
