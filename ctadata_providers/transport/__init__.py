"""What HTTP stands on, for credentials and for sessions: whom to trust, which proxy to take, when to give up."""

MAX_HEADER_BYTES = 1024 * 1024
"""Longest header that is read, all interim answers and trailers included; servers send some hundred bytes."""
