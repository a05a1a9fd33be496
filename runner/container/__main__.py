"""Entry point of the image: `python -m runner.container [INPUT] [OUTPUT] [options]`."""

import sys

from runner.container.main import main

if __name__ == "__main__":
    sys.exit(main())
