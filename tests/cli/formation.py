"""A CloudFormation that knows one stack: the local one, as if it were deployed in an account."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.cli.conftest import RelayRunner

SAMCONFIG = '[default.global.parameters]\nstack_name = "relay-of-a-test"\n'
NAMESPACE = 'xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"'
ABSENT = (
    f"<ErrorResponse {NAMESPACE}><Error><Type>Sender</Type><Code>ValidationError</Code>"
    "<Message>Stack with id x does not exist</Message></Error></ErrorResponse>"
)


@dataclass
class Formation:
    """One stack; its resources come in pages of two."""

    resources: list[tuple[str, str]]
    parameters: Mapping[str, object]
    outputs: Mapping[str, str] = field(default_factory=dict)
    status: str = "CREATE_COMPLETE"
    name: str = "relay-of-a-test"

    def answer(self, asked: Mapping[str, list[str]]) -> tuple[int, str]:
        if asked["StackName"] != [self.name]:
            return 400, ABSENT
        if asked["Action"] == ["DescribeStacks"]:
            return 200, self.described()
        return 200, self.page(int(asked.get("NextToken", ["0"])[0]))

    def described(self) -> str:
        return (
            f"<DescribeStacksResponse {NAMESPACE}><DescribeStacksResult><Stacks><member>"
            f"<StackName>{self.name}</StackName><StackStatus>{self.status}</StackStatus>"
            "<CreationTime>2026-11-21T00:00:00Z</CreationTime>"
            f"<Parameters>{members('Parameter', self.parameters)}</Parameters>"
            f"<Outputs>{members('Output', self.outputs)}</Outputs>"
            "</member></Stacks></DescribeStacksResult></DescribeStacksResponse>"
        )

    def page(self, start: int) -> str:
        listed = "".join(
            f"<member><LogicalResourceId>{logical}</LogicalResourceId>"
            f"<PhysicalResourceId>{physical}</PhysicalResourceId></member>"
            for logical, physical in self.resources[start : start + 2]
        )
        following = start + 2
        token = f"<NextToken>{following}</NextToken>" if following < len(self.resources) else ""
        return (
            f"<ListStackResourcesResponse {NAMESPACE}><ListStackResourcesResult>{token}"
            f"<StackResourceSummaries>{listed}</StackResourceSummaries>"
            "</ListStackResourcesResult></ListStackResourcesResponse>"
        )


def members(kind: str, values: Mapping[str, object]) -> str:
    return "".join(
        f"<member><{kind}Key>{name}</{kind}Key><{kind}Value>{value}</{kind}Value></member>"
        for name, value in values.items()
    )


@contextmanager
def served(formation: Formation) -> Iterator[str]:
    """The URL at which a CloudFormation answers."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            status, text = formation.answer(parse_qs(body))
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def formation(runner: RelayRunner) -> Formation:
    stack = runner.stack
    functions = {name: stack.template.ref(name) for name in stack.functions}
    resources = {**stack.template.physical_ids, **functions}
    outputs = {"OpenAIBaseUrl": f"{stack.base_url}/v1"}
    return Formation([*resources.items()], stack.template.parameters, outputs)


@pytest.fixture
def deployed(
    runner: RelayRunner, formation: Formation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """The root of a project whose stack is in an account: the local one's AWS, deployed."""
    with served(formation) as url:
        for name, value in {
            "AWS_ENDPOINT_URL_CLOUDFORMATION": url,
            "AWS_ENDPOINT_URL": runner.stack.aws_endpoint_url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("AWS_PROFILE", raising=False)
        (tmp_path / "samconfig.toml").write_text(SAMCONFIG)
        yield tmp_path
