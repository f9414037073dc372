"""Sets up what the functions need: the provider, AWS with the secret, a certificate authority."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.environment import certificate
from bench.environment.aws import moto
from bench.environment.installs import ROOT, Installs, install
from bench.environment.runtime_api import Environment

if TYPE_CHECKING:
    from bench.environment.answers import Document

PROVIDER_KEY = "ak_bench_0000000000000000000000"
REGION = "us-east-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchContext:
    """The shared environment of all measurements."""

    installs: Installs
    base_url: str  # of the provider
    certified: certificate.Certificate
    environ: dict[str, str]  # of every function
    scratch: Path
    repeats: int
    is_quick: bool

    @property
    def trust(self) -> dict[str, str]:
        """Environment that makes every client here trust the provider and AWS."""
        return self.certified.trust

    def function(self, folders: tuple[Path, ...], **environ: str) -> Environment:
        """Start a function's process, whose code is in some folders."""
        path = os.pathsep.join(map(str, folders))
        command = (str(self.installs.python), "-P", "-m", "awslambdaric", "handler.handler")
        here = {"PYTHONPATH": path, "LAMBDA_TASK_ROOT": str(folders[0])}
        return Environment(command, self.environ | here | environ)

    def aws(self, service: str) -> Any:
        """Return a client of a service of AWS."""
        return _client(service, self.environ["AWS_ENDPOINT_URL"], self.certified)


def event(question: Document, path: str = "/v1/chat/completions") -> dict[str, Any]:
    """Return API Gateway's event for a request."""
    return {
        "resource": path,
        "path": path,
        "httpMethod": "POST",
        "headers": {"Content-Type": "application/json"},
        "pathParameters": None,
        "requestContext": {"requestId": "bench", "identity": {"apiKeyId": "bench"}},
        "body": json.dumps(question),
        "isBase64Encoded": False,
    }


@contextmanager
def bench_context(repeats: int, *, is_quick: bool) -> Iterator[BenchContext]:
    """Set everything up for a block; the provider answers at once."""
    installs = install()
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        certified = certificate.make(scratch)
        with provider(installs, certified) as base_url, moto(certified) as url:
            arn = _secret(url, certified)
            yield BenchContext(
                installs=installs,
                base_url=base_url,
                certified=certified,
                environ=_environ(base_url, url, arn) | certified.trust,
                scratch=scratch,
                repeats=repeats,
                is_quick=is_quick,
            )


@contextmanager
def provider(
    installs: Installs, certified: certificate.Certificate, seconds: float = 0
) -> Iterator[str]:
    """Run a provider in a separate process; yield its base URL. Whole answers take `seconds`."""
    command = (
        installs.python,
        "-m",
        "bench.environment.provider",
        certified.chain,
        certified.key,
        seconds,
    )
    process = subprocess.Popen(  # noqa: S603 - our own command
        list(map(str, command)), cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    with process:
        port = process.stdout.readline().strip() if process.stdout else ""
        try:
            yield f"https://127.0.0.1:{port}/v1"
        finally:
            process.kill()


def _client(service: str, url: str, certified: certificate.Certificate) -> Any:
    import boto3  # noqa: PLC0415 - with moto, and not before

    session: Any = boto3.Session(
        aws_access_key_id="bench",
        aws_secret_access_key="bench",  # noqa: S106 - moto accepts any
        region_name=REGION,
    )
    return session.client(service, endpoint_url=url, verify=str(certified.bundle))


def _secret(url: str, certified: certificate.Certificate) -> str:
    manager = _client("secretsmanager", url, certified)
    arn: str = manager.create_secret(Name="bench", SecretString=PROVIDER_KEY)["ARN"]
    manager.get_secret_value(SecretId=arn)  # moto is slow once
    manager.close()
    return arn


def _environ(base_url: str, aws_url: str, arn: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PYTHONDONTWRITEBYTECODE": "1",  # Lambda's disk is read-only
        "_HANDLER": "handler.handler",
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": aws_url,
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
        "AWS_LAMBDA_FUNCTION_NAME": "bench",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "POWERTOOLS_SERVICE_NAME": "llm-relay",
        "POWERTOOLS_METRICS_NAMESPACE": "LlmRelay",
        "POWERTOOLS_LOG_LEVEL": "INFO",
        "UPSTREAM_BASE_URL": base_url,
        "OPENAI_BASE_URL": base_url,
        "PROVIDER_DIALECT": "abliteration",
        "PROVIDER_KEY_SECRET_ARN": arn,
        "ABLIT_KEY": PROVIDER_KEY,  # what the peers read; the relay ignores it
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # no network beyond loopback
        "HOME": tempfile.gettempdir(),
    }


def machine(python: Path) -> dict[str, str | int]:
    """Describe the machine and the Python that ran the functions."""
    info = Path("/proc/cpuinfo").read_text()
    models = [
        line.partition(": ")[2] for line in info.splitlines() if line.startswith("model name")
    ]
    version = subprocess.run(  # noqa: S603 - our own command
        [str(python), "-V"], capture_output=True, text=True, check=True
    )
    return {
        "cpu": models[0] if models else os.uname().machine,
        "cores": os.cpu_count() or 1,
        "system": f"{os.uname().sysname} {'.'.join(os.uname().release.split('.')[:2])}",
        "python_of_the_functions": version.stdout.strip(),
        "python_of_the_bench": sys.version.partition(" ")[0],
    }
