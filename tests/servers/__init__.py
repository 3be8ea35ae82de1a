"""Real storage servers on loopback, each a context manager that yields a `Server`."""
