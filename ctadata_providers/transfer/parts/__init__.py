"""The local end of a download: hidden parts beside the target, filled, gone on with, and whole at the end."""
