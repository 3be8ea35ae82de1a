// An OpenID provider for the tests: npm's oidc-provider with the device flow, rotating refresh tokens and JWTs.
// node provider.mjs PORT LIFE: listens on 127.0.0.1, its access tokens live LIFE seconds.

// Node 18, which Debian 12 has, lacks these two.
globalThis.crypto ??= (await import("node:crypto")).webcrypto;
URL.parse ??= (url, base) => {
  try {
    return new URL(url, base);
  } catch {
    return null;
  }
};
const { default: Provider } = await import("oidc-provider");

const [port, life] = process.argv.slice(2).map(Number);
const door = "https://door.example.org";
const client = { redirect_uris: [], response_types: [], scope: "openid offline_access storage.read:/" };

const provider = new Provider(`http://localhost:${port}`, {
  clients: [
    {
      ...client,
      client_id: "ctadata",
      token_endpoint_auth_method: "none",
      grant_types: ["urn:ietf:params:oauth:grant-type:device_code", "refresh_token"],
    },
    {
      ...client,
      client_id: "robot",
      client_secret: process.env.ROBOT_SECRET,
      token_endpoint_auth_method: "client_secret_basic",
      grant_types: ["client_credentials"],
    },
  ],
  scopes: ["openid", "offline_access", "storage.read:/"],
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  features: {
    deviceFlow: { enabled: true },
    clientCredentials: { enabled: true },
    revocation: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => door,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: "storage.read:/",
        audience: door,
        accessTokenFormat: "jwt",
        accessTokenTTL: life,
        jwt: { sign: { alg: "RS256" } },
      }),
    },
  },
  issueRefreshToken: (_, token, code) => token.grantTypeAllowed("refresh_token") && code.scopes.has("offline_access"),
  rotateRefreshToken: true,
});

for (const event of ["grant.error", "server_error", "revocation.error"]) {
  provider.on(event, (_, error) => console.log(event, error.error, error.error_detail ?? error.stack));
}
provider.on("grant.success", (context) => console.log("grant", context.oidc.params.grant_type));
provider.on("grant.revoked", () => console.log("revoked"));
provider.listen(port, "127.0.0.1");
