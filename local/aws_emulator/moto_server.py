"""AWS on this machine: moto behind a loopback port, in this process."""

import functools
import logging
import os
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from local.aws_emulator.api_gateway import ApiGateway
from local.aws_emulator.lambda_api import Application, LambdaApi
from local.cloudformation.intrinsics import ACCOUNT, REGION

SIGNATURE = re.compile(r"Credential=[^/]+/\d+/[^/]+/(?P<service>[^/]+)/aws4_request")
# moto reads and writes in two steps, so that two requests at once may both meet a condition. Not
# SQS: somebody who waits for a message must not keep out the one who sends it.
IN_TURN = ("apigateway", "dynamodb", "s3", "secretsmanager", "states")
CREATE_STATE_MACHINE = "AWSStepFunctions.CreateStateMachine"


Work = Callable[[], object]


class InTurn:
    """A WSGI application that takes a service's requests one by one and counts its changes."""

    def __init__(self, application: Application) -> None:
        self.changes: Counter[str] = Counter()
        self._application = application
        self._locks = {service: threading.Lock() for service in IN_TURN}
        self._put_off: list[Work] = []
        self._catching_up = threading.Lock()

    def put_off(self, work: Work) -> None:
        """Does a work when Step Functions is first asked for something: it takes two seconds."""
        self._put_off.append(work)

    def catch_up(self) -> None:
        """Does what was put off."""
        with self._catching_up:
            while self._put_off:
                self._put_off.pop(0)()

    def call_off(self, works: list[Work]) -> None:
        """Leaves works undone if they still are."""
        for work in works:
            with suppress(ValueError):
                self._put_off.remove(work)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answers a request."""
        signature = SIGNATURE.search(environ.get("HTTP_AUTHORIZATION", ""))
        service = signature["service"] if signature else ""
        if service not in self._locks:
            return self._application(environ, start_response)
        if service == "states" and environ.get("HTTP_X_AMZ_TARGET") != CREATE_STATE_MACHINE:
            self.catch_up()
        with self._locks[service]:
            try:
                return self._application(environ, start_response)
            finally:
                if environ.get("HTTP_X_AMZ_TARGET") == "secretsmanager.UpdateSecretVersionStage":
                    follow_the_current_versions()
                if environ["REQUEST_METHOD"] != "GET":
                    self.changes[service] += 1


def follow_the_current_versions() -> None:
    """Makes every secret's default version the one staged AWSCURRENT, which moto forgets."""
    from moto.backends import get_backend  # noqa: PLC0415 - takes more than a second

    secrets: Any = get_backend("secretsmanager")[ACCOUNT][REGION].secrets
    for secret in secrets.values():
        for version_id, version in secret.versions.items():
            if "AWSCURRENT" in version["version_stages"]:
                secret.set_default_version_id(version_id)


def execute_state_machines(port: int) -> None:
    """Makes moto run state machines, whose tasks it sends to the moto server on a port."""
    from moto.core.config import default_user_config  # noqa: PLC0415 - takes more than a second

    logging.getLogger("moto.stepfunctions").setLevel(logging.CRITICAL)
    default_user_config["stepfunctions"]["execute_state_machine"] = True
    os.environ["MOTO_PORT"] = str(port)


class Moto:
    """A moto server on a free loopback port, which ends with the process."""

    def __init__(self) -> None:
        from moto.moto_server.werkzeug_app import (  # noqa: PLC0415 - takes more than a second
            DomainDispatcherApplication,
            MotoRequestHandler,
            create_backend_app,
        )
        from werkzeug.serving import make_server  # noqa: PLC0415 - comes with it

        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self.services = InTurn(DomainDispatcherApplication(create_backend_app))
        self.functions = LambdaApi(self.services)
        self.apis = ApiGateway(self.functions)
        server = make_server(
            "127.0.0.1", 0, self.apis, threaded=True, request_handler=MotoRequestHandler
        )
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{server.port}"
        execute_state_machines(server.port)
        self._clients: dict[str, Any] = {}
        self._making = threading.Lock()

    def changes(self, service: str) -> int:
        """How often a service was told something other than to answer a GET."""
        return self.services.changes[service]

    def client(self, service: str) -> Any:
        """A boto3 client of a service, made once."""
        import boto3  # noqa: PLC0415 - with moto, and not before

        with self._making:
            if service not in self._clients:
                session: Any = boto3.Session()  # its type knows services by their literal names
                self._clients[service] = session.client(
                    service,
                    endpoint_url=self.url,
                    region_name=REGION,
                    aws_access_key_id="local",
                    aws_secret_access_key="local",  # noqa: S106 - moto asks for one and no more
                )
            return self._clients[service]


@functools.cache
def moto() -> Moto:
    """This process's moto; all stacks of a process share it, as moto's state is global."""
    return Moto()
