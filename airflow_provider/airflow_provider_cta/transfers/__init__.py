"""Operators between the data centre and the storages of other providers."""
