"""Try all properties for some time: `python -m tests.fuzz --seconds 60 [WORD ...]`."""

import argparse
import faulthandler
import importlib
import pkgutil
import sys

import tests.fuzz
from tests.fuzz.engine import properties, run

STUCK = 120.0


def say(line: str) -> None:
    """Tell at once: who waits for an hour wants to see that something goes on."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    """Share the time among the properties; return 1 when one does not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="time for all of them (default: 60)")
    parser.add_argument("words", nargs="*", metavar="WORD", help="only properties with one of these in their names")
    arguments = parser.parse_args()
    for module in pkgutil.iter_modules(tests.fuzz.__path__):
        if module.name.startswith("test_"):
            importlib.import_module(f"tests.fuzz.{module.name}")
    chosen = [p for p in properties() if not arguments.words or any(word in p.name for word in arguments.words)]
    share, failed = arguments.seconds / max(1, len(chosen)), 0
    for one in chosen:
        faulthandler.dump_traceback_later(share + STUCK, exit=True)  # a parser that hangs is a finding too
        result = run(one, share)
        faulthandler.cancel_dump_traceback_later()
        verdict = "holds" if result.failure is None else "DOES NOT HOLD"
        name = f"{one.module}.{one.name}"
        say(f"{name:<90} {result.examples:>8} examples {result.seconds:>6.1f} s  {verdict}")
        if result.failure is not None:
            failed += 1
            say(result.failure)
    say(f"{len(chosen)} properties, {failed} of them do not hold")
    return 1 if failed or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
