"""Runs what functions call under `sam local`: the provider simulator, and AWS services with data.

Run after `sam build`, it keeps them up until Ctrl-C, and prints commands to use meanwhile.
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
from serving import container_address, docker_host, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BUILD = ROOT / ".aws-sam" / "build"
PROVIDER_KEY = "ak_local_simulator_0000000000000000"


@dataclass(frozen=True, slots=True, kw_only=True)
class Backends:
    """Running backends, and the files with which `sam local` reaches them."""

    aws: Aws
    template: Path  # as built, with AWS_ENDPOINT_URL added
    variables: Path

    def options(self) -> tuple[str, ...]:
        """Return the options of every `sam local` command."""
        return ("-t", str(self.template), "-n", str(self.variables))


@contextmanager
def backends() -> Iterator[Backends]:
    """Run the simulator and the AWS services for the block."""
    python = (sys.executable, "-m")
    host = docker_host()
    with (
        serving(host, *python, "local.provider_simulator") as provider,
        serving(host, *python, "moto.server") as moto,
    ):
        template: Json = yaml_parse((BUILD / "template.yaml").read_text())  # type: ignore[no-untyped-call]
        aws = Aws(f"http://{moto}", template)
        # SAM passes on only variables that the template declares.
        declared = template["Globals"]["Function"]["Environment"]["Variables"]
        declared["AWS_ENDPOINT_URL"] = f"http://{container_address(moto)}"
        variables = aws.fill() | {
            "ABLIT_KEY": PROVIDER_KEY,
            "UPSTREAM_BASE_URL": f"http://{container_address(provider)}/v1",
            "PROVIDER_DIALECT": "abliteration",  # the simulator's
            "PROVIDER_KEY_SECRET_ARN": "",
        }
        yield Backends(
            aws=aws,
            template=written("local.json", template),
            variables=written("local-variables.json", {"Parameters": variables}),
        )


def written(name: str, document: object) -> Path:
    """Write a document next to the built template; return its path."""
    path = BUILD / name
    path.write_text(json.dumps(document))
    return path


def main() -> None:
    """Run until Ctrl-C."""
    ending = {signal.SIGINT, signal.SIGTERM}
    with backends() as running:
        signal.pthread_sigmask(signal.SIG_BLOCK, ending)
        options = " ".join(running.options()).replace(f"{ROOT}/", "")
        print(f"sam local invoke BatchPlanFunction -e events/batch_plan/inbox.json {options}")
        print(
            f"aws s3 ls --recursive s3://{running.aws.bucket.name} --endpoint-url {running.aws.url}"
        )
        print("Ctrl-C ends it.", flush=True)
        signal.sigwait(ending)


if __name__ == "__main__":
    main()
