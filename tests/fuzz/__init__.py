"""Properties of the parsers that read what servers and users write, for any input."""
