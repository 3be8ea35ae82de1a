"""The parts of `backends.downloadservice`: names, listings, reading and writing by the CTA services."""
