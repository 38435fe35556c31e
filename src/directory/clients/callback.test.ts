import { describe, expect, it } from "vitest";
import { callbackFault, callbackFaults, isFetchable, loginUriFault, matchRedirectUri } from "./callback.ts";
import type { Client } from "./client.ts";

describe("an address that is registered as a callback", () => {
  it.each([
    "https://shop.example",
    "https://shop.example/cb?tenant=1&discode=2",
    "https://shop.example/a@b?mail=ada@example.com",
    "https://shop.example/cb?next=https://ada@other.example/",
    "https://shop.example:8443/~cb/!$&'()+,;=",
    "http://localhost:3000/cb",
    "http://127.0.0.1/cb",
    "http://127.255.10.9:65535/cb",
    "http://[::1]:4000/cb",
    "com.example.app:/cb",
    "com.example-2.app+x:/cb",
    "com.example.app://host/cb",
  ])("may be %s", (callback) => expect(callbackFault(callback)).toBeUndefined());

  it.each([
    ["is not an absolute address", "/cb", "shop.example/cb", "", "https://", "https://shop.example/c b"],
    [
      "is not an absolute address",
      "https://shop.example\\@evil.example/",
      " https://shop.example",
      "https://shоp.example",
    ],
    ["is not an absolute address", "https://shop.example/\n", "https://shop.example/\u007f", 'https://shop.example/"'],
    ["must not have a fragment", "https://shop.example/cb#x", "https://shop.example/cb#", "com.example.app:/cb#x"],
    ["must not hold a user name or password", "https://ada@shop.example/", "https://:word@shop.example/"],
    ["must not hold a user name or password", "https://@shop.example/", "HTTPS://@shop.example/", "com.a+b.c://@host/"],
    [
      "must not hold a user name or password",
      "https:/ada@shop.example/",
      "https:/:word@shop.example/",
      "https://:@shop.example/",
    ],
    ["must not hold a wildcard", "https://*.shop.example/cb", "https://shop.example/*", "com.example.app:/*"],
    ["must not have code in its query", "https://shop.example/cb?code=1", "https://shop.example/cb?x=1&code"],
    ["must be https, unless it is on a loopback address", "http://shop.example/cb", "http://127.0.0.1.evil.example/"],
    [
      "must be https, unless it is on a loopback address",
      "http://128.0.0.1/",
      "http://[::2]/",
      "http://10.127.0.0.1.nip.io/",
    ],
    ["must be https, unless it is on a loopback address", "http://localhost.evil.example/", "http://evil.localhost/"],
    ["must be https, or a private-use scheme with a dot", "myapp:/cb", "javascript:alert(1)", "data:text/html,x"],
    [
      "must be https, or a private-use scheme with a dot",
      "com.:/cb",
      "com..app:/cb",
      "ftp://shop.example/",
      "ws://shop.example/",
    ],
  ])("%s: %j", (message, ...callbacks) => {
    for (const callback of callbacks) expect(callbackFault(callback), callback).toBe(message);
  });

  it.each(
    "code state iss error error_description error_uri id_token access_token token_type expires_in scope".split(" "),
  )("does not name %s, which an answer adds", (name) => {
    expect(callbackFault(`https://shop.example/cb?a=1&${name}=2`)).toBe(`must not have ${name} in its query`);
    expect(callbackFault(`https://shop.example/${name}?x${name}=2`)).toBeUndefined();
  });

  it("is named by its place when it is refused", () => {
    expect(callbackFaults(["https://shop.example", "myapp:/", "/cb"], "here").map(({ path }) => path)).toEqual([
      "here.1",
      "here.2",
    ]);
    expect(callbackFaults(["/cb"])).toMatchObject([{ path: "callbacks.0", code: "callback" }]);
  });
});

describe("an address that the outbound client may ask", () => {
  it.each(["https://login.example/jwks?x=1#y", "http://localhost:3000/", "http://127.0.0.1/", "http://[::1]:4000/"])(
    "may be %s",
    (address) => expect(isFetchable(address)).toBe(true),
  );

  it.each([
    ...["", "/jwks", "login.example", "https://"],
    ...["http://login.example/", "http://localhost.evil.example/", "http://10.0.0.1/"],
    ...["ftp://localhost/", "ws://127.0.0.1/", "com.example.app:/jwks", "data:text/html,x"],
    ...["https://ada@login.example/", "https://:word@login.example/", "http://ada:word@localhost/"],
  ])("may not be %j", (address) => expect(isFetchable(address)).toBe(false));
});

describe("a page that takes link codes", () => {
  const callbacks = ["com.example.app:/cb", "http://localhost:3000/cb", "https://shop.example/cb"];

  it.each([null, "https://shop.example/login", "https://shop.example", "https://shop.example:443/x?y=z"])(
    "may be %s",
    (login_uri) => expect(loginUriFault(login_uri, callbacks)).toEqual([]),
  );

  it.each([
    "https://evil.example/login",
    "https://shop.example:444/login",
    "https://login.shop.example/",
    "http://shop.example/login",
    "http://localhost:3000/login",
    "com.example.app:/login",
    "https://shop.example/login#code",
    "/login",
    "",
  ])("may not be %j", (login_uri) =>
    expect(loginUriFault(login_uri, callbacks)).toMatchObject([{ path: "login_uri", code: "login_uri" }]),
  );

  it("does not stumble over a callback that is no address", () => {
    expect(loginUriFault("https://shop.example/", ["nowhere", "https://shop.example/"])).toEqual([]);
    expect(loginUriFault("https://shop.example/", ["nowhere"])).toHaveLength(1);
  });
});

describe("the callback that a request names", () => {
  const matched = (
    callbacks: readonly string[],
    redirect_uri?: string,
    token_endpoint_auth_method = "none",
    origin: Client["origin"] = "account",
  ) => {
    try {
      return matchRedirectUri({ origin, settings: { callbacks, token_endpoint_auth_method } } as Client, redirect_uri);
    } catch (refusal) {
      return (refusal as { code: string }).code;
    }
  };
  const IPV4 = "http://127.0.0.1:3000/cb";
  const IPV6 = "http://[::1]/cb?x=1";
  const NAME = "http://localhost/cb";
  const BARE = "http://127.0.0.1";

  it("need not be named where there is one alone", () => {
    expect(matched(["https://shop.example/"])).toBe("https://shop.example/");
    expect(matched(["https://shop.example/", "https://shop.example/b"])).toBe("redirect_uri_required");
    expect(matched([])).toBe("redirect_uri_required");
    expect(matched(["https://shop.example/"], "")).toBe("redirect_uri_mismatch");
  });

  it("is said to be missing at the client where there is none to name", () => {
    const client = { origin: "account", settings: { callbacks: [] as readonly string[] } } as Client;
    expect(() => matchRedirectUri(client, undefined)).toThrow("The client has no callback");
  });

  it.each([
    [IPV4, IPV4],
    [IPV4, "http://127.0.0.1/cb"],
    [IPV4, "http://127.0.0.1:1/cb"],
    [IPV4, "http://127.0.0.1:65535/cb"],
    [IPV6, "http://[::1]:4000/cb?x=1"],
    [NAME, "http://localhost:4000/cb"],
    [BARE, "http://127.0.0.1:4000"],
  ])("registered as %s may be %s", (callback, named) => {
    expect(matched(["https://shop.example/", callback], named)).toBe(named);
  });

  it.each([
    [IPV4, "http://127.0.0.1:65536/cb"],
    [IPV4, "http://127.0.0.1:99999/cb"],
    [IPV4, "http://127.0.0.1:100000/cb"],
    [IPV4, "http://127.0.0.1:/cb"],
    [IPV4, "http://127.0.0.1:x/cb"],
    [IPV4, "http://127.0.0.1:80@evil.example/cb"],
    [IPV4, "http://127.0.0.1:80evil.example/cb"],
    [IPV4, "http://127.0.0.1.evil.example/cb"],
    [IPV4, "http://127a0b0c1/cb"],
    [IPV4, "http://127.0.0.2/cb"],
    [IPV4, "http://[::1]/cb"],
    [IPV4, "http://localhost/cb"],
    [IPV4, "https://127.0.0.1/cb"],
    [IPV4, "xhttp://127.0.0.1/cb"],
    [IPV4, "http://127.0.0.1/cb#x"],
    [IPV4, "http://127.0.0.1/cb/"],
    [IPV4, "http://127.0.0.1/cb?x=1"],
    [IPV4, "http://127.0.0.1"],
    [IPV6, "http://[::1]:4000/cb"],
    [BARE, "http://127.0.0.1:4000/"],
    ["https://shop.example/cb", "http://127.0.0.1/cb"],
    ["https://shop.example/cb", "https://shop.example:444/cb"],
  ])("registered as %s may not be %s", (callback, named) => {
    expect(matched(["https://other.example/", callback], named)).toBe("redirect_uri_mismatch");
  });

  it("varies the port of localhost for native clients alone, because a name can be made to mean something else", () => {
    const other = "http://localhost:4000/cb";
    for (const [method, origin] of [
      ["client_secret_basic", "account"],
      ["private_key_jwt", "account"],
      ["client_secret_basic", "dynamic"],
    ] as const)
      expect(matched([NAME], other, method, origin), `${method} ${origin}`).toBe("redirect_uri_mismatch");
    for (const origin of ["metadata", "dynamic"] as const)
      expect(matched([NAME], other, "private_key_jwt", origin), `by a key of its own, ${origin}`).toBe(other);
    expect(matched([NAME], NAME, "client_secret_basic")).toBe(NAME);
    expect(matched([IPV4], "http://127.0.0.1:4000/cb", "client_secret_basic")).toBe("http://127.0.0.1:4000/cb");
  });
});
