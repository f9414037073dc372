"""moto as a server on a loopback port of this process."""

import functools
import logging
import os
import re
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from local.aws_emulator.stack_services import Application, StackServices
from local.cloudformation.intrinsics import ACCOUNT, REGION

SIGNATURE = re.compile(r"Credential=[^/]+/\d+/[^/]+/(?P<service>[^/]+)/aws4_request")
# moto reads and writes in two steps: concurrent requests may both satisfy a condition. Not
# SQS: a long poll must not block senders.
SERIALIZED = ("apigateway", "dynamodb", "s3", "secretsmanager", "states")
CREATE_STATE_MACHINE = "AWSStepFunctions.CreateStateMachine"

Work = Callable[[], object]


class SerializedServices:
    """WSGI middleware that serializes a service's requests."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._locks = {service: threading.Lock() for service in SERIALIZED}
        self._deferred: list[Work] = []
        self._catching_up = threading.Lock()

    def defer(self, work: Work) -> None:
        """Run work before the first Step Functions request; it takes two seconds."""
        self._deferred.append(work)

    def run_deferred(self) -> None:
        """Run the deferred work."""
        with self._catching_up:
            while self._deferred:
                self._deferred.pop(0)()

    def cancel_deferred(self, work: Work) -> None:
        """Cancel deferred work, unless it has run."""
        with suppress(ValueError):
            self._deferred.remove(work)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer a request."""
        signature = SIGNATURE.search(environ.get("HTTP_AUTHORIZATION", ""))
        service = signature["service"] if signature else ""
        if service not in self._locks:
            return self._application(environ, start_response)
        target = environ.get("HTTP_X_AMZ_TARGET")
        if service == "states" and target != CREATE_STATE_MACHINE:
            self.run_deferred()
        with self._locks[service]:
            try:
                return self._application(environ, start_response)
            finally:
                if target == "secretsmanager.UpdateSecretVersionStage":
                    sync_current_secret_versions()


def backend(service: str) -> Any:
    """Return moto's own object of a service."""
    from moto.backends import get_backend  # noqa: PLC0415 - takes more than a second

    find: Any = get_backend  # its type knows services by their literal names
    return find(service)[ACCOUNT][REGION]


def sync_current_secret_versions() -> None:
    """Set every secret's default version to the one staged AWSCURRENT, which moto omits."""
    for secret in backend("secretsmanager").secrets.values():
        for version_id, version in secret.versions.items():
            if "AWSCURRENT" in version["version_stages"]:
                secret.set_default_version_id(version_id)


class Moto:
    """A moto server on a free loopback port, for the life of the process."""

    def __init__(self) -> None:
        from moto.core.config import default_user_config  # noqa: PLC0415 - comes with the next
        from moto.moto_server.werkzeug_app import (  # noqa: PLC0415 - takes more than a second
            DomainDispatcherApplication,
            MotoRequestHandler,
            create_backend_app,
        )
        from werkzeug.serving import make_server  # noqa: PLC0415 - comes with it

        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        logging.getLogger("moto.stepfunctions").setLevel(logging.CRITICAL)
        default_user_config["stepfunctions"]["execute_state_machine"] = True
        self.services = SerializedServices(DomainDispatcherApplication(create_backend_app))
        self.stacks = StackServices(self.services)
        server = make_server(
            "127.0.0.1", 0, self.stacks, threaded=True, request_handler=MotoRequestHandler
        )
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{server.port}"
        os.environ["MOTO_PORT"] = str(server.port)  # where the tasks of state machines go
        self._clients: dict[str, Any] = {}
        self._making = threading.Lock()

    def client(self, service: str) -> Any:
        """Return a cached boto3 client of a service."""
        import boto3  # noqa: PLC0415 - with moto, and not before

        with self._making:
            if service not in self._clients:
                session: Any = boto3.Session()  # its type knows services by their literal names
                self._clients[service] = session.client(
                    service,
                    endpoint_url=self.url,
                    region_name=REGION,
                    aws_access_key_id="local",
                    aws_secret_access_key="local",  # noqa: S106 - moto requires a value
                )
            return self._clients[service]


@functools.cache
def moto() -> Moto:
    """Return this process's moto, shared by all its stacks as moto's state is global."""
    return Moto()
