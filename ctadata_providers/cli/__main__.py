"""Run the command line as `python -m ctadata_providers.cli`."""

import sys

from ctadata_providers.cli import main

if __name__ == "__main__":
    sys.exit(main())
