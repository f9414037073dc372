"""Runs with the openai SDK: time to the first chunk of a stream.

python openai_stream.py RESULT QUESTION CALLS
"""

import json
import os
import sys
import time
from pathlib import Path

from openai import OpenAI

WARM_UP_CALLS = 5


def main(result: str, question_file: str, calls: int) -> None:
    """Write how many seconds each stream took to its first chunk."""
    client = OpenAI(base_url=os.environ["UPSTREAM_BASE_URL"], api_key=os.environ["ABLIT_KEY"])
    question = json.loads(Path(question_file).read_text())
    seconds = []
    for _ in range(WARM_UP_CALLS + calls):
        begun = time.perf_counter()
        stream = client.chat.completions.create(**question)
        next(stream)
        seconds.append(time.perf_counter() - begun)
        for _ in stream:
            pass
    Path(result).write_text(json.dumps(seconds[WARM_UP_CALLS:]))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
