"""What functions need around them under `sam local`: a provider, and an AWS with seeds in it.

Run after `sam build`, it keeps both up until Ctrl-C, and says how to invoke a function meanwhile.
"""

from __future__ import annotations

import json
import signal
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aws import Aws
from sample_events import ROOT, Json
from samtranslator.yaml_helper import yaml_parse
from serving import BRIDGE, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BUILD = ROOT / ".aws-sam" / "build"
PROVIDER_KEY = "ak_local_simulator_0000000000000000"


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What `sam local` needs to reach them."""

    aws: Aws
    template: Path  # as it was built, with the address of that AWS in it
    variables: Path

    def options(self) -> tuple[str, ...]:
        """Return the options of every `sam local` command."""
        return ("-t", str(self.template), "-n", str(self.variables))


@contextmanager
def surroundings() -> Iterator[Surroundings]:
    """Keep a provider and an AWS up for the block."""
    python = (sys.executable, "-m")
    with (
        serving(BRIDGE, *python, "local.provider_simulator") as provider,
        serving(BRIDGE, *python, "moto.server") as moto,
    ):
        template: Json = yaml_parse((BUILD / "template.yaml").read_text())  # type: ignore[no-untyped-call]
        aws = Aws(f"http://{moto}", template)
        # SAM hands on variables that the template declares, and no others.
        template["Globals"]["Function"]["Environment"]["Variables"]["AWS_ENDPOINT_URL"] = aws.url
        variables = aws.fill() | {
            "ABLIT_KEY": PROVIDER_KEY,
            "UPSTREAM_BASE_URL": f"http://{provider}/v1",
            "PROVIDER_KEY_SECRET_ARN": "",
        }
        yield Surroundings(
            aws=aws,
            template=written("local.json", template),
            variables=written("local-variables.json", {"Parameters": variables}),
        )


def written(name: str, document: object) -> Path:
    """Write a document beside the built template; return where it is."""
    path = BUILD / name
    path.write_text(json.dumps(document))
    return path


def main() -> None:
    """Keep everything up until Ctrl-C."""
    ending = {signal.SIGINT, signal.SIGTERM}
    with surroundings() as around:
        signal.pthread_sigmask(signal.SIG_BLOCK, ending)
        options = " ".join(around.options()).replace(f"{ROOT}/", "")
        print(f"sam local invoke BatchPlanFunction -e events/batch_plan/inbox.json {options}")
        print(
            f"aws s3 ls --recursive s3://{around.aws.bucket.name} --endpoint-url {around.aws.url}"
        )
        print("Ctrl-C ends it.", flush=True)
        signal.sigwait(ending)


if __name__ == "__main__":
    main()
