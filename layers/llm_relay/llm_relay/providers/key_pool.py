"""The provider's keys: read from Secrets Manager, rotated, and chosen for a call."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from llm_relay.aws.secrets_manager import SecretsManager, SecretUnreadableError
from llm_relay.core.errors import ProviderError, ProviderKeyMissing, ProviderKeyRejected
from llm_relay.core.http_status import is_retryable
from llm_relay.core.json_codec import parse_object
from llm_relay.providers.rate_limit.headers import retry_after_seconds

if TYPE_CHECKING:
    from llm_relay.providers.settings import ProviderSettings

CACHE_SECONDS = 300
REFRESH_SECONDS = 30  # after a refresh without a new key, to spare Secrets Manager
RETIRED_SECONDS = 300
_NEVER = float("-inf")


class KeyPool:
    """The keys in a provider's secret: rotated, retired if refused, read again if none is left."""

    def __init__(
        self,
        settings: ProviderSettings,
        before_first_read: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.keys: list[str] = []  # a retired key stays retired when they are replaced
        self._settings = settings
        self._before_first_read = before_first_read
        self._clock = clock
        self._rotations = 0
        self._retired_at: dict[str, float] = {}
        self._secrets_manager: SecretsManager | None = None
        self._lock = threading.Lock()  # of many threads that need the key, one reads it
        self._read_at = _NEVER
        self._refreshed_at = _NEVER
        self._failed_at = _NEVER

    def rotate(self) -> list[str]:
        """Return the active keys, with another one first each time.

        If all are retired, return the one retired first: the provider may accept it again.
        Raises ProviderKeyMissing if there are none.
        """
        if self._settings.key_for_sam_local:
            self.keys = keys_in(self._settings.key_for_sam_local)
        else:
            self._read(max_age_seconds=CACHE_SECONDS)
        keys = self.active() or [min(self.keys, key=self._retired_at.__getitem__)]
        first = self._rotations % len(keys)
        self._rotations += 1
        return keys[first:] + keys[:first]

    def active(self) -> list[str]:
        """Return the keys that are not retired."""
        since = self._clock() - RETIRED_SECONDS
        return [key for key in self.keys if self._retired_at.get(key, _NEVER) <= since]

    def retire(self, key: str) -> None:
        """Stop using a key for RETIRED_SECONDS."""
        self._retired_at[key] = self._clock()

    def restore(self, key: str) -> None:
        """Use a retired key again."""
        self._retired_at.pop(key, None)

    def refresh(self) -> list[str]:
        """Read the secret again and return the active keys; [] soon after a read without any."""
        now = self._clock()
        if self._settings.key_for_sam_local or now - self._refreshed_at < REFRESH_SECONDS:
            return []
        self._refreshed_at = now
        self._read(max_age_seconds=0)
        keys = self.active()
        if keys:
            self._refreshed_at = _NEVER  # a secret that changes may soon change again
        return keys

    def _read(self, *, max_age_seconds: float) -> None:
        with self._lock:
            now, is_first = self._clock(), self._read_at == _NEVER
            just_failed = not is_first and now - self._failed_at < REFRESH_SECONDS
            if just_failed or now - self._read_at < max_age_seconds:
                return
            if is_first:
                self._before_first_read()
            try:
                self._secrets_manager = self._secrets_manager or SecretsManager()
                secret = self._secrets_manager.get_text(self._settings.secret_arn)
            except SecretUnreadableError:
                if is_first:
                    raise ProviderKeyMissing(
                        "The provider's key could not be read from Secrets Manager. Store it in "
                        "the secret that the stack's output ProviderKeySecretId names; under "
                        "`sam local`, give it as ABLIT_KEY in the file for --env-vars."
                    ) from None
                self._failed_at = self._clock()
                return  # keep the old keys
            self.keys = keys_in(secret)
            self._read_at = self._clock()


class KeySelection:
    """The keys that one call may use, and how it goes on when one is refused."""

    def __init__(self, pool: KeyPool) -> None:
        self._pool = pool
        self._untried = pool.rotate()  # with the current one first
        self._limited: dict[str, ProviderError] = {}
        self._forbidden: str | None = None

    @property
    def current(self) -> str:
        """The key to send."""
        return self._untried[0]

    def on_error(self, error: ProviderError, *, is_last: bool) -> ProviderError | None:
        """Choose the next key; return the error to wait for first, if there is one.

        Raises the error if no key can help, ProviderKeyRejected if the provider accepts none.
        """
        if error.status == HTTPStatus.UNAUTHORIZED:
            return self._on_unauthorized()
        if error.status == HTTPStatus.FORBIDDEN:
            return self._on_forbidden(error)
        if error.status == HTTPStatus.TOO_MANY_REQUESTS:
            self._limited[self._untried.pop(0)] = error
            if is_last:
                self._untried = []  # the caller gets the shortest wait
            return self._next()
        if is_retryable(error.status):
            return error
        raise error

    def _on_unauthorized(self) -> ProviderError | None:
        self._pool.retire(self._untried.pop(0))
        if not self._untried and not self._limited:
            self._untried = self._pool.refresh()
        if not self._untried and not self._limited:
            raise ProviderKeyRejected(
                "The provider does not accept the key that is stored for it; your own key is "
                "valid. The operator of this endpoint has to store a valid key in the secret."
            )
        return self._next()

    def _on_forbidden(self, error: ProviderError) -> ProviderError | None:
        """Try one other key; if it is refused too, the request is at fault and no key."""
        if self._forbidden:
            self._pool.restore(self._forbidden)
            raise error
        if not self._untried[1:] and not self._limited:
            raise error
        self._forbidden = self._untried.pop(0)
        self._pool.retire(self._forbidden)
        return self._next()

    def _next(self) -> ProviderError | None:
        """Return None if a key is untried, else choose the limited key with the shortest wait."""
        if self._untried:
            return None
        key = min(self._limited, key=self._wait_seconds)
        self._untried = [key]
        return self._limited.pop(key)

    def _wait_seconds(self, key: str) -> float:
        return retry_after_seconds(self._limited[key].headers()) or 0.0


def keys_in(secret: Any) -> list[str]:
    """Return the keys in a secret: its text, or `api_keys` or `api_key` of a JSON object."""
    values: Any = [secret]
    if isinstance(secret, str) and secret.lstrip().startswith("{"):
        document = parse_object(secret) or {}
        values = document.get("api_keys", [document.get("api_key")])
    texts = values if isinstance(values, list) else []
    stripped = [text.strip() for text in texts if isinstance(text, str)]
    keys = [key for key in stripped if key and key.isascii() and key.isprintable()]
    if not keys:
        raise ProviderKeyMissing(
            "The secret holds no usable key. Store the provider's key in it, as plain text or as "
            '{"api_key": "..."}, or several as {"api_keys": ["...", "..."]}.'
        )
    return list(dict.fromkeys(keys))
