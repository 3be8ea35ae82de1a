"""An OpenID provider with Keycloak's addresses and answers, beside the door that takes its tokens.

From the outside to the inside: `issuer` is what a test holds; `server` speaks HTTP, with `pages` for people; `provider`
knows the grants and has `manners`: `clients`, `devices` (RFC 8628), `families` of refresh tokens, and their `minting`
with `keys`.
"""
