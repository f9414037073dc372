"""The provider's key, from Secrets Manager."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from llm_relay.errors import ProviderKeyMissing

if TYPE_CHECKING:
    from llm_relay.settings import ProviderKeySettings

CACHE_SECONDS = 300
REFRESH_SECONDS = 30  # between two refreshes, or a dead key would hammer Secrets Manager


class ProviderKey:
    """The key to call the provider with, cached and refetched when the provider refuses it."""

    def __init__(self, settings: ProviderKeySettings) -> None:
        self._settings = settings
        self._secrets: Any = None
        self._last: str | None = None
        self._refreshed_at = float("-inf")
        self._failed_at = float("-inf")

    def current(self) -> str:
        """Return the key; ProviderKeyMissing if there is none to be had."""
        if self._settings.key_for_sam_local:
            return key_in(self._settings.key_for_sam_local)
        return self._fetch(force=False)

    def refreshed(self) -> str | None:
        """Return the key fetched afresh, or None if that was done a moment ago."""
        if self._settings.key_for_sam_local or not self._refresh_is_due():
            return None
        self._refreshed_at = time.monotonic()
        return self._fetch(force=True)

    def _refresh_is_due(self) -> bool:
        return time.monotonic() - self._refreshed_at >= REFRESH_SECONDS

    def _fetch(self, *, force: bool) -> str:
        # boto3 takes a quarter of a second to import; only this needs it.
        from aws_lambda_powertools.utilities.parameters.exceptions import (  # noqa: PLC0415
            GetParameterError,
        )

        if self._last and time.monotonic() - self._failed_at < REFRESH_SECONDS:
            return self._last  # nobody waits for a Secrets Manager that was away a moment ago
        try:
            secret = self._provider().get(
                self._settings.secret_arn, max_age=CACHE_SECONDS, force_fetch=force
            )
        except (GetParameterError, ValueError):
            if self._last is None:
                raise ProviderKeyMissing(
                    "The provider's key could not be read from Secrets Manager. Store it in the "
                    "secret that the stack's output ProviderKeySecretId names; under `sam local`, "
                    "give it as ABLIT_KEY in the file for --env-vars."
                ) from None
            self._failed_at = time.monotonic()
            return self._last  # an old key beats none
        self._last = key_in(secret)
        return self._last

    def _provider(self) -> Any:
        if self._secrets is None:
            from aws_lambda_powertools.utilities.parameters import SecretsProvider  # noqa: PLC0415
            from botocore.config import Config  # noqa: PLC0415

            patience = Config(connect_timeout=2, read_timeout=3, retries={"total_max_attempts": 3})
            self._secrets = SecretsProvider(boto_config=patience)
        return self._secrets


def key_in(secret: Any) -> str:
    """Return the key in a secret's text: the text itself, or `api_key` of a JSON object."""
    text = secret if isinstance(secret, str) else ""
    if text.lstrip().startswith("{"):
        text = _api_key_of(text)
    key = text.strip()
    if not key or not key.isascii() or not key.isprintable():
        raise ProviderKeyMissing(
            "The secret holds no usable key. Store the provider's key in it, as plain text or as "
            '{"api_key": "..."}.'
        )
    return key


def _api_key_of(text: str) -> str:
    try:
        key = json.loads(text).get("api_key")
    except ValueError:
        return ""
    return key if isinstance(key, str) else ""
