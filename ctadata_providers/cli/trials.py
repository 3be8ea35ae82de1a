"""The sub-commands that need no data centre: `sandbox` and `demo`."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ctadata_providers.cli.output import Output
from ctadata_providers.errors import CtaError
from ctadata_providers.local_places import local_path


def sandbox(args: argparse.Namespace, output: Output) -> int:
    """Serve a data centre on this machine until Ctrl-C."""
    with _extra("testing"):
        from ctadata_providers.testing.sandbox import serve

        serve(root=_folder(args.root), port=args.port, faults=args.fault, approve=args.approve)
    return 0


def demo(args: argparse.Namespace, output: Output) -> int:
    """Run the example analysis."""
    with _extra("demo"):
        from ctadata_providers.cli.demo import run_demo

        return run_demo(data=_folder(args.data), output=local_path(args.output), services=args.services)


def _folder(text: str | None) -> Path | None:
    return None if text is None else local_path(text).expanduser()


@contextmanager
def _extra(name: str) -> Iterator[None]:
    """Say which extra to install where a package is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise CtaError(
            f"the Python package {error.name} is missing", remedy=f"pip install 'ctadata-providers[{name}]'"
        ) from error
