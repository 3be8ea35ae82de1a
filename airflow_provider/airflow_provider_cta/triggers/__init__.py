"""Triggers: what waits in the triggerer, for many tasks at once."""
