"""`python -m cli`, which `.venv/bin/relay` runs."""

import sys
from pathlib import Path

LAYER = Path(__file__).resolve().parent.parent / "layers" / "llm_relay"


def start() -> None:
    """Run the command line and exit with its status."""
    sys.path.append(str(LAYER))  # the layer defines money and budget periods
    from cli.main import main  # noqa: PLC0415 - it needs the path

    main(prog_name="relay")


if __name__ == "__main__":
    start()
