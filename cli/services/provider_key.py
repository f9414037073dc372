"""The stored keys of the provider, and the verification of a new one."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import click
import requests

from cli.aws.target_stack import Stack
from llm_relay.providers.dialects.dialect import DEFAULT_MODELS
from llm_relay.transport.settings import with_version

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager.type_defs import (
        GetSecretValueResponseTypeDef,
        SecretVersionsListEntryTypeDef,
    )

CURRENT, PENDING = "AWSCURRENT", "AWSPENDING"
QUESTION = "Reply with: key verified."
TIMEOUT = (10, 120)  # seconds to connect, and to answer
ADVICE: dict[int, str] = {
    HTTPStatus.UNAUTHORIZED: "it does not accept this key. Copy it again from the provider's page.",
    HTTPStatus.FORBIDDEN: "this key lacks permission. Grant it, or use another key.",
    HTTPStatus.PAYMENT_REQUIRED: "the account has no credits left. Top it up, and try again.",
    HTTPStatus.NOT_FOUND: "it has no such route or model. Check UpstreamBaseUrl, and try --model.",
    HTTPStatus.TOO_MANY_REQUESTS: "its rate limit is reached. Try again in a minute.",
}


class ProviderSecret:
    """The stack's secret in Secrets Manager: the one named by a parameter, or its own."""

    def __init__(self, stack: Stack) -> None:
        self._client = stack.client("secretsmanager")
        named = stack.parameter("ProviderKeySecretArn")
        self._id = named or stack.resource("ProviderKeySecret")
        self._is_local = stack.endpoint_url is not None

    def current(self) -> "GetSecretValueResponseTypeDef | None":
        """Return the current version, or None if the secret is empty."""
        with suppress(self._client.exceptions.ResourceNotFoundException):
            return self._client.get_secret_value(SecretId=self._id, VersionStage=CURRENT)
        return None

    def versions(self) -> list["SecretVersionsListEntryTypeDef"]:
        """Return the versions with a stage, the current one first."""
        versions = self._client.list_secret_version_ids(SecretId=self._id)["Versions"]
        staged = [version for version in versions if version.get("VersionStages")]
        return sorted(staged, key=lambda version: CURRENT not in version["VersionStages"])

    def created(
        self,
        version: "SecretVersionsListEntryTypeDef",
        current: "GetSecretValueResponseTypeDef",
    ) -> datetime | None:
        """Return when a version was created; None if unknown."""
        if version["VersionId"] == current["VersionId"]:
            return current["CreatedDate"]
        # The list of the local stack's AWS has the current time instead.
        return None if self._is_local else version["CreatedDate"]

    def put(self, text: str) -> None:
        """Store a text as the current version."""
        self._client.put_secret_value(SecretId=self._id, SecretString=text)

    @contextmanager
    def staged(self, text: str) -> Iterator[str]:
        """Store a text as the pending version for the block; yield the version's id."""
        version_id = self._client.put_secret_value(
            SecretId=self._id, SecretString=text, VersionStages=[PENDING]
        )["VersionId"]
        try:
            yield version_id
        finally:
            # Secrets Manager deletes versions without a stage.
            with suppress(self._client.exceptions.InvalidParameterException):
                self._client.update_secret_version_stage(
                    SecretId=self._id, VersionStage=PENDING, RemoveFromVersionId=version_id
                )

    def promote(self, version_id: str, instead_of: str) -> None:
        """Make a version the current one; fails if the current version has changed."""
        self._client.update_secret_version_stage(
            SecretId=self._id,
            VersionStage=CURRENT,
            MoveToVersionId=version_id,
            RemoveFromVersionId=instead_of,
        )


def verify_key(stack: Stack, key: str, model: str | None) -> str:
    """Call the stack's provider with a key; return the model. ClickException if it fails."""
    base_url = with_version(stack.parameter("UpstreamBaseUrl"))
    with requests.Session() as session:
        session.auth = bearer(key)  # not a header, which .netrc would override
        model = model or DEFAULT_MODELS.get(stack.dialect.name)
        model = model or _first_model(session, base_url)
        body = {"model": model, "messages": [{"role": "user", "content": QUESTION}]}
        answer = _request_json(session, "POST", f"{base_url}/chat/completions", body)
    try:
        answer["choices"][0]["message"]
    except (LookupError, TypeError):
        raise _unverified(
            f"{base_url} answered, but not with a chat completion. Check UpstreamBaseUrl."
        ) from None
    return model


def _first_model(session: requests.Session, base_url: str) -> str:
    """Return the first model that the provider lists."""
    try:
        return str(_request_json(session, "GET", f"{base_url}/models")["data"][0]["id"])
    except (LookupError, TypeError):
        raise _unverified(f"{base_url} lists no model. Name one with --model.") from None


def _request_json(session: requests.Session, method: str, url: str, body: Any = None) -> Any:
    """Return the provider's JSON answer; ClickException for anything else."""
    try:
        # A redirect would send the key to another host.
        reply = session.request(method, url, json=body, timeout=TIMEOUT, allow_redirects=False)
    except requests.RequestException as error:
        raise _unverified(
            f"{url} did not answer ({type(error).__name__}). Check UpstreamBaseUrl and the network."
        ) from None
    if reply.status_code != HTTPStatus.OK:
        advice = ADVICE.get(reply.status_code, "try again later, or name a model with --model.")
        raise _unverified(f"{url} answered {reply.status_code}: {advice}")
    try:
        return reply.json()
    except ValueError:
        raise _unverified(f"{url} did not answer JSON. Check UpstreamBaseUrl.") from None


def _unverified(why: str) -> click.ClickException:
    return click.ClickException(f"The key could not be verified, and nothing has changed: {why}")


def bearer(key: str) -> Callable[[requests.PreparedRequest], requests.PreparedRequest]:
    """Return an auth callable that sets a bearer key."""

    def sign(request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {key}"
        return request

    return sign
