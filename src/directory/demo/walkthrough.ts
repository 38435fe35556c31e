/**
 * The walk-through that a first start prints and the README repeats: from nothing to the redirect, in commands that can be
 * pasted as they are. The secret is read from the file, so it is never printed.
 *
 * `demo_file` is the path as the reader's shell finds it.
 */
export function walkthrough(demo_file: string): string {
  return `\
# 1. Read what the first start made.
demo() { node -p "JSON.parse(require('fs').readFileSync('${demo_file}', 'utf8'))['$1']"; }
field() { node -p "JSON.parse(require('fs').readFileSync(0, 'utf8'))$1"; }
AUTH="$(demo base_url)/v1/accounts/$(demo account_id)/auth"

# 2. The client gets its bearer token.
TOKEN=$(curl -s -u "$(demo client_id):$(demo client_secret)" "$AUTH/token" \\
  -d grant_type=client_credentials --data-urlencode "audience=$(demo audience)" | field .access_token)

# 3. It asks for a code for a person.
curl -s -X POST "$AUTH/passwordless" -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \\
  -d "{\\"connection\\": \\"email\\", \\"email\\": \\"$(demo user_email)\\", \\"client_id\\": \\"$(demo client_id)\\", \\"audience\\": \\"$(demo audience)\\"}"

# 4. The person reads it. A test account mails nobody: the message waits in its sandbox inbox.
CODE=$(curl -s "\${AUTH%/auth}/sandbox/messages" -G --data-urlencode "to=$(demo user_email)" \\
  -H "Authorization: Bearer $TOKEN" | field '[0].verification_code')

# 5. The client exchanges the code for a redirect to its callback.
LOCATION=$(curl -s -o /dev/null -w '%{http_code} %{redirect_url}' -X POST -G "$AUTH/authorize" -H "Authorization: Bearer $TOKEN" \\
  --data-urlencode "audience=$(demo audience)" -d response_type=authenticate -d client_id="$(demo client_id)" \\
  --data-urlencode "redirect_uri=$(demo redirect_uri)" -d state=af0ifjsldkj --data-urlencode "verification_code=$CODE")
echo "$LOCATION"

# 6. The callback checks the ID token against the keys that the account publishes.
LOCATION="$LOCATION" node --input-type=module -e "
  import { createRemoteJWKSet, jwtVerify } from 'jose';
  const id_token = new URL(process.env.LOCATION.split(' ')[1]).searchParams.get('id_token');
  const keys = createRemoteJWKSet(new URL('\${AUTH%/auth}/oauth/jwks.json'));
  console.log((await jwtVerify(id_token, keys, { issuer: '\${AUTH%/auth}' })).payload);"
`;
}
