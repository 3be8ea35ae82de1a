"""Links of tasks to what they are about."""
