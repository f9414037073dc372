"""`python -m cli`, which `.venv/bin/relay` runs."""

import sys
from pathlib import Path

# The layer defines money, budget periods and batches.
sys.path.append(str(Path(__file__).resolve().parents[1] / "layers" / "llm_relay"))
from cli.main import main  # noqa: E402 - needs the path

main(prog_name="relay")
