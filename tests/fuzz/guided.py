"""Looks for bytes that break one parser, guided by the code that they reach.

python -m tests.fuzz.guided PARSER SECONDS SEED
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

from tests.fuzz.seeds import SEEDS, WORDS

with atheris.instrument_imports(include=["llm_relay", "python_multipart"]):
    from tests.fuzz.parsers import CUTS, PARSERS

FOUND = Path(__file__).parents[2] / ".hypothesis"
LONGEST = 4096
LONGEST_WORD = 64  # of libFuzzer's dictionary


def main(name: str, seconds: str, seed: str) -> None:
    """Fuzz one parser; libFuzzer ends the process, with an error if a claim did not hold."""
    FOUND.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        words, seeds = Path(scratch, "words"), Path(scratch, "seeds")
        words.write_text("".join(entry(word) for word in WORDS if len(word) <= LONGEST_WORD))
        seeds.mkdir()
        for number, text in enumerate(SEEDS):
            Path(seeds, f"whole-{number}").write_bytes(text)
            Path(seeds, f"cut-{number}").write_bytes(bytes(range(0, 256, 256 // CUTS)) + text)
        options = [
            f"-max_total_time={seconds}",
            f"-seed={seed}",
            f"-max_len={LONGEST}",
            f"-dict={words}",
            f"-artifact_prefix={FOUND}/{name}-",
            "-timeout=20",
            "-print_final_stats=1",
            "-verbosity=0",
        ]
        atheris.Setup([sys.argv[0], *options, str(seeds)], PARSERS[name])
        atheris.Fuzz()


def entry(word: bytes) -> str:
    """A line of libFuzzer's dictionary."""
    return '"{}"\n'.format("".join(f"\\x{byte:02x}" for byte in word))


if __name__ == "__main__":
    main(*sys.argv[1:])
