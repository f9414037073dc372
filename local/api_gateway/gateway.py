"""API Gateway on a loopback port: authorizes requests, invokes functions, returns answers."""

import socket
import time
import uuid
from collections.abc import Callable, Iterable, Mapping

from aiohttp import web
from multidict import CIMultiDict

from local.api_gateway.authorizers import Authorizers
from local.api_gateway.delivery import deliver
from local.api_gateway.gateway_responses import GatewayError, render
from local.api_gateway.proxy_event import Call, proxy_event
from local.api_gateway.routes import Api
from local.api_gateway.usage_plans import ClientKeys, TokenBucket
from local.cloudformation.intrinsics import ACCOUNT, REGION
from local.lambda_runtime.environments import LambdaFunction
from local.lambda_runtime.invocation import PAYLOAD_LIMIT_BYTES

BODY_LIMIT_BYTES = 10 * 1024 * 1024


class Gateway:
    """Serves an API, at the root and under its stage's name."""

    def __init__(
        self,
        api: Api,
        functions: Mapping[str, LambdaFunction],
        authorizers: Authorizers,
        keys: ClientKeys,
        log: Callable[[str], None],
    ) -> None:
        self._api, self._functions, self._keys, self._log = api, functions, keys, log
        self._authorizers = authorizers
        self._buckets = {
            route: TokenBucket(route.throttle) for route in api.routes if route.throttle
        }

    async def start(
        self, listener: socket.socket, extra_routes: Iterable[web.RouteDef] = ()
    ) -> None:
        """Serve on a listening socket, with additional routes."""
        application = web.Application(client_max_size=BODY_LIMIT_BYTES)
        application.add_routes(extra_routes)
        application.router.add_route("*", r"/{path:[\s\S]*}", self._serve)  # %0A is no end
        # Like API Gateway, leave compressed bodies compressed.
        self._runner = web.AppRunner(
            application, access_log=None, shutdown_timeout=0.5, auto_decompress=False
        )
        await self._runner.setup()
        await web.SockSite(self._runner, listener).start()

    async def stop(self) -> None:
        """Close all connections."""
        await self._runner.cleanup()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        started, request_id = time.monotonic(), str(uuid.uuid4())
        path = request.rel_url.raw_path
        if path == f"/{self._api.stage}" or path.startswith(f"/{self._api.stage}/"):
            path = path.removeprefix(f"/{self._api.stage}") or "/"
        try:
            response = await self._answer(request, path, request_id)
        except GatewayError as refused:
            context = {"requestId": request_id, "extendedRequestId": request_id, "path": path}
            reply = render(self._api.gateway_responses, refused.kind, context)
            headers = CIMultiDict([("x-amzn-RequestId", request_id), *reply.headers])
            response = web.Response(status=reply.status, headers=headers, body=reply.body)
        took = round((time.monotonic() - started) * 1000)
        clock = time.strftime("%H:%M:%S")
        self._log(f"{clock}  {request.method} {path}  {response.status}  {took} ms")
        return response

    async def _answer(self, request: web.Request, path: str, request_id: str) -> web.StreamResponse:
        found = self._api.match(request.method, path)
        if found is None:
            raise GatewayError("MISSING_AUTHENTICATION_TOKEN")
        route, parameters = found
        call = Call(
            request=request,
            api=self._api,
            route=route,
            path=path,
            path_parameters=parameters,
            id=request_id,
        )
        await self._admit(call)
        try:
            event = proxy_event(call, await request.read())
        except web.HTTPRequestEntityTooLarge as error:
            raise GatewayError("REQUEST_TOO_LARGE") from error
        if len(event) > PAYLOAD_LIMIT_BYTES:
            raise GatewayError("REQUEST_TOO_LARGE")
        return await deliver(call, self._functions[route.function].invoke(event))

    async def _admit(self, call: Call) -> None:
        if call.route in self._buckets:
            self._buckets[call.route].take()
        if call.route.authorizer:
            arn = f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{self._api.id}/{self._api.stage}"
            arn = f"{arn}/{call.request.method}{call.path}"
            call.authorizer_result = await self._authorizers.authorize(
                call.route.authorizer, call.request.headers, arn
            )
        if call.route.needs_api_key:
            call.key_value = call.request.headers.get("x-api-key")
            if self._api.key_from_authorizer:
                call.key_value = (
                    call.authorizer_result.usage_key if call.authorizer_result else None
                )
            call.key = self._keys.find(call.key_value or "")
            call.key.count()
