"""The night of small files with which the short way is tried."""

NAMES = [f"f{number:02}" for number in range(40)]
FILES = {f"/night/{name}": name.encode() * 100 for name in NAMES}
VICTIM = "/night/f07"
