"""`cta://` in the Python data world."""
