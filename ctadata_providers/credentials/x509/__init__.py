"""Client certificates and proxies: read, checked, made."""
