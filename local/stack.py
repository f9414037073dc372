"""The local stack: the resources of template.yaml, emulated on this machine."""

import asyncio
import json
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self

from local.api_gateway.authorizers import Authorizers
from local.api_gateway.gateway import Gateway
from local.api_gateway.routes import read_api
from local.api_gateway.usage_plans import ClientKeys
from local.aws_emulator.events import start_events
from local.aws_emulator.moto_server import Work, backend, moto
from local.client_key_route import client_key_route
from local.cloudformation.intrinsics import REGION
from local.cloudformation.resource_maker import ResourceMaker
from local.cloudformation.resources import create_resources
from local.cloudformation.translation import load
from local.lambda_runtime.environments import LambdaFunction, ProcessSettings, default_runtime
from local.lambda_runtime.event_sources import read_event_sources
from local.metrics_page.view import MetricsView
from local.provider_simulator.server import DEFAULT_KEY, Provider
from local.settings import ROOT, Settings

STATE_FILE = ROOT / ".relay-local.json"


class Stack:
    """A running stack, as an async context manager."""

    def __init__(self, settings: Settings, log: Callable[[str], None] = lambda _: None) -> None:
        self.settings = settings
        self.client_key = settings.client_key
        self.runtime = settings.runtime or default_runtime()
        self.provider: Provider | None = None
        self.functions: dict[str, LambdaFunction] = {}
        self._log = log
        self._exit = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Start everything; OSError if the port is in use."""
        async with self._exit:
            await self._start()
            self._exit = self._exit.pop_all()
        return self

    async def __aexit__(self, *error: object) -> None:
        """Stop everything, including the functions' processes."""
        await self._exit.aclose()

    def write_state_file(self, path: Path = STATE_FILE) -> None:
        """Write the stack's addresses to a file until the stack stops."""
        queues = [source.queue_url for source in read_event_sources(self.template)]
        function_names = {name: self.template.ref(name) for name in self.functions}
        state = {
            "base_url": f"{self.base_url}/v1",
            "client_key": self.client_key,
            "aws_endpoint_url": self.aws_endpoint_url,
            "aws_region": REGION,
            "bucket": self.bucket,
            "queue_url": next(iter(queues), None),  # the first that invokes a function
            "resources": {**self.template.physical_ids, **function_names},
            "parameters": self.template.parameters,
        }
        path.write_text(json.dumps(state, indent=2) + "\n")
        self._exit.callback(path.unlink, missing_ok=True)

    def aws(self, service: str) -> Any:
        """Return a boto3 client of a service of this stack."""
        return self._moto.client(service)

    async def complete(self) -> None:
        """Create the deferred resources: state machines."""
        executor = ThreadPoolExecutor(1)  # not asyncio's, which Ctrl-C would wait for
        await asyncio.get_running_loop().run_in_executor(executor, self._moto.services.run_deferred)

    @property
    def bucket(self) -> str | None:
        """The template's first bucket."""
        return next(map(self.template.ref, self.template.ids("AWS::S3::Bucket")), None)

    async def _start(self) -> None:
        # First: a port in use fails immediately, and early callers wait instead of failing.
        listener = socket.create_server(("127.0.0.1", self.settings.port))
        self._exit.callback(listener.close)
        self.base_url = "http://{}:{}".format(*listener.getsockname())
        moto_starts = asyncio.create_task(asyncio.to_thread(moto))
        upstream_url, provider_key = await self._upstream()
        dialect = "auto" if self.settings.upstream_url else "abliteration"  # the simulator's
        provider = {"UpstreamBaseUrl": upstream_url, "ProviderDialect": dialect}
        parameters = {**provider, **self.settings.parameters}
        self.template = await asyncio.to_thread(load, self.settings.template, parameters)
        self._moto = await moto_starts
        self.aws_endpoint_url = self._moto.url
        maker = ResourceMaker(
            client=self.aws,
            client_key=self.client_key,
            provider_key=provider_key,
            root=self.template.root,
            defer=self._defer,
        )
        await asyncio.to_thread(create_resources, self.template, maker)
        self._start_functions()
        start_events(self.template, self.functions, self.aws_endpoint_url, self._defer, self._exit)
        await self._start_gateway(listener)

    def _defer(self, work: Work) -> None:
        self._moto.services.defer(work)
        self._exit.callback(self._moto.services.cancel_deferred, work)

    async def _upstream(self) -> tuple[str, str]:
        if self.settings.upstream_url:
            return self.settings.upstream_url, self.settings.provider_key or DEFAULT_KEY
        self.provider = Provider(
            key=self.settings.provider_key or DEFAULT_KEY,
            tokens_per_second=self.settings.tokens_per_second,
        )
        url = await self.provider.start()
        self._exit.push_async_callback(self.provider.stop)
        return url, self.provider.key

    def _start_functions(self) -> None:
        process_settings = ProcessSettings(
            environment={"AWS_ENDPOINT_URL": self.aws_endpoint_url, **self.settings.environment},
            log=self._exit.enter_context(self.settings.log.open("wb")),
            runtime=self.runtime,
        )
        for spec in self.template.functions():
            function = LambdaFunction(spec, process_settings, self.settings.concurrency)
            self.functions[spec.logical_id] = function
            self._exit.push_async_callback(function.close)
            self._moto.stacks.functions[spec.name] = function
            self._exit.callback(self._moto.stacks.functions.pop, spec.name)

    async def _start_gateway(self, listener: socket.socket) -> None:
        api = read_api(self.template)
        self._moto.stacks.apis[api.id] = api
        self._exit.callback(self._moto.stacks.apis.pop, api.id)
        keys = ClientKeys(backend("apigateway"), api.id)
        authorizers = Authorizers(self.functions, self.settings.authorizer_ttl_seconds)
        gateway = Gateway(api, self.functions, authorizers, keys, self._log)
        self._exit.push_async_callback(gateway.stop)
        metrics = MetricsView(self.settings.log).routes()
        await gateway.start(listener, [*metrics, client_key_route(self.client_key)])
