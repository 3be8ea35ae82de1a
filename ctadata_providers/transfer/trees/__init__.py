"""Trees: walked, transferred, made alike, compared."""
