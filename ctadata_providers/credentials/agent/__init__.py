"""What keeps a token file fresh in the background."""
