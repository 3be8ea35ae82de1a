"""The login at an OpenID Connect provider: made, kept in a store that processes share, renewed."""
