"""The wire broken on purpose; docs/reliability.md has the table of cells."""
