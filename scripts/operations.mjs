/**
 * The account API's operations, as its clients know them: operation id → group. `docs/operations.md` is printed from this list
 * and from openapi.json; a documented operation that the server does not have fails the check.
 */
export const documented = {
  token: ["aid_auths_oauth_token_post"],
  authenticate: [
    "aid_auths_oauth_authorize_post",
    "aid_auth_account_passwordless_post",
    "aid_auth_passwordless_post",
    "aid_auths_oidc_token_post",
    "aid_auths_oauth_redirect_post",
    "aid_auths_oauth_revoke_post",
    "aid_auths_oauth_exchange_token_post",
    "aid_auths_keys_get",
  ],
  mfa: [
    "aid_auth_mfa_challenge_post",
    "aid_auth_mfa_recovery_post",
    "account_user_mfa_sms_put",
    "account_user_mfa_totp_post",
    "account_user_mfa_totp_put",
  ],
  clients: [
    "aid_auth_clients_get",
    "aid_auth_clients_post",
    "aid_auths_clients_id_get",
    "aid_auths_clients_id_delete",
    "aid_auths_clients_id_rotate_post",
  ],
  "client grants": [
    "aid_auths_client_grants_get",
    "aid_auths_client_grants_post",
    "aid_auths_client_grants_id_patch",
    "aid_auths_client_grants_id_delete",
  ],
  roles: [
    "aid_auths_roles_get",
    "aid_auths_roles_post",
    "aid_auths_roles_id_get",
    "aid_auths_roles_id_put",
    "aid_auths_roles_id_delete",
  ],
  "account users": [
    "aid_accounts_aid_mgmnt_users_get",
    "aid_accounts_aid_mgmnt_users_post",
    "aid_accounts_aid_mgmnt_users_put",
    "aid_accounts_aid_mgmnt_users_delete",
    "aid_accounts_aid_mgmnt_users_activities_get",
    "account_user_get",
    "account_user_password_put",
  ],
  "users with passwords": [
    "aid_auth_users_post",
    "aid_auth_users_username_put",
    "aid_auth_users_username_delete",
    "aid_auth_users_username_change_username_post",
    "aid_customers_login_post",
    "aid_customers_mfa_login_post",
    "aid_customers_mfa_login_initiate_recovery_post",
    "aid_customers_change_password",
    "aid_customers_post",
    "aid_customers_head",
    "aid_customers_cid_verify_post",
  ],
  accounts: ["accounts_oid_signup_post", "accounts_oid_signup_verify_post"],
};

/** @throws when a documented operation is missing. */
export function operationsPage(openapi) {
  const all = new Map(
    Object.entries(openapi.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => [operation.operationId, { method, path, ...operation }]),
    ),
  );
  const listed = Object.entries(documented).flatMap(([group, ids]) => ids.map((id) => ({ group, id })));
  const missing = listed.filter(({ id }) => !all.has(id)).map(({ id }) => id);
  if (missing.length > 0) throw new Error(`operations that are documented and missing: ${missing.join(", ")}`);
  const rows = listed.map(({ group, id }) => row(group, all.get(id)));
  const names = new Set(listed.map(({ id }) => id));
  const ours = [...all.values()]
    .filter(
      ({ operationId, path }) =>
        !names.has(operationId) && /^\/v1\/accounts\/\{oid\}\/(auth|customers|management|sandbox|signup)/.test(path),
    )
    .map((operation) => row("ours", operation));
  const head = "| group | operation | method and path | answers |\n| --- | --- | --- | --- |";
  return `# Operations of the account API

Every operation of the account API, as its existing clients use it, printed from the server's own contract.
\`test/contract/statuses.test.ts\` makes the server produce each status below on both engines, holds each reply against its schema,
and fails when one is missing. \`test/isolation/tenants.test.ts\` tries each operation from a foreign account,
\`test/fuzz/flood.test.ts\` with hostile input. 500 and 503 are produced once a surface, with a database that is gone.

${head}
${rows.join("\n")}

Beside them, our own:

${head}
${ours.join("\n")}
`;
}

function row(group, { operationId, method, path, responses }) {
  const statuses = Object.keys(responses).filter((status) => Number(status) < 500);
  const shown = path.replace("/v1/accounts/{oid}", "…");
  return `| ${group} | \`${operationId}\` | \`${method.toUpperCase()} ${shown}\` | ${statuses.join(" ")} |`;
}
