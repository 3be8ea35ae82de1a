"""Our own process is killed at any moment, and run again."""
