import { addClient, addGrant, call, createTenant, type Latchkey, type Reply, tokenOf } from "./latchkey.ts";
import { personToken } from "./people.ts";

/** What a client asks, and a person changes, of customers' records until it is too often; `saw` notes each reply. */
export async function customersTooOften(
  latchkey: Latchkey,
  saw: (operation: string, reply: Reply) => Reply,
): Promise<void> {
  const scope = ["admin:accounts", "user:customers"];
  const own = await createTenant(latchkey, { scope, settings: { public_user_exists: true } });
  const client = await addClient(latchkey, own.account_id);
  await addGrant(latchkey, own.account_id, client, own.issuer, ["public:customers"]);
  const asking = { method: "HEAD", token: await tokenOf(latchkey, own.account_id, client) };
  const users = `${own.base}/customers/users`;
  for (let n = 0; n < 61; n++) saw("aid_customers_head", await call(`${users}?email=a@b.example`, asking));
  const changing = { method: "PUT", token: await personToken(own) };
  for (let n = 0; n < 21; n++)
    saw("aid_customers_cid_put", await call(`${users}/${own.user.id}`, { ...changing, json: { name: `n${n}` } }));
}
