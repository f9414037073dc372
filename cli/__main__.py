"""`python -m cli`, which `.venv/bin/relay` runs."""

import sys
from pathlib import Path

LAYER = Path(__file__).resolve().parent.parent / "layers" / "llm_relay"


def start() -> None:
    """Runs the command line and exits with its status."""
    sys.path.append(str(LAYER))  # what money and periods mean is the layer's to say
    from cli.main import main  # noqa: PLC0415 - it needs the path

    main(prog_name="relay")


if __name__ == "__main__":
    start()
