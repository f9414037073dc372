"""The provider's keys, from Secrets Manager, and which of them a call uses."""

from __future__ import annotations

import threading
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from llm_relay.aws.secrets_manager import SecretsManager, SecretUnreadableError
from llm_relay.core.errors import ProviderKeyMissing, ProviderKeyRejected
from llm_relay.core.http_status import is_retryable
from llm_relay.core.json_codec import parse_object
from llm_relay.providers.retry_policy import retry_after_seconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from llm_relay.core.errors import ProviderRefused
    from llm_relay.providers.settings import ProviderKeySettings

CACHE_SECONDS = 300
REFRESH_SECONDS = 30  # after a refresh in vain, or a dead key would hammer Secrets Manager
RETIRED_SECONDS = 300
_NEVER = float("-inf")


class KeyPool:
    """Keys that take turns; one that was refused sits out for a while."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._keys: list[str] = []
        self._turns = 0
        self._retired_at: dict[str, float] = {}

    def hold(self, keys: list[str]) -> None:
        """Have these keys from now on; which were refused is not forgotten."""
        self._keys = keys

    def usable(self) -> list[str]:
        """Return the keys that are not retired."""
        since = self._clock() - RETIRED_SECONDS
        return [key for key in self._keys if self._retired_at.get(key, _NEVER) <= since]

    def in_turn(self) -> list[str]:
        """Return the usable keys, with another one first each time.

        If all are retired, the one that has been so for longest: it may be accepted again.
        """
        keys = self.usable() or [min(self._keys, key=self._retired_at.__getitem__)]
        first = self._turns % len(keys)
        self._turns += 1
        return keys[first:] + keys[:first]

    def retire(self, key: str) -> None:
        """Leave a key out for RETIRED_SECONDS."""
        self._retired_at[key] = self._clock()

    def restore(self, key: str) -> None:
        """Take a key back that was not to blame."""
        self._retired_at.pop(key, None)


class ProviderKeys:
    """The keys to call the provider with, cached and refetched when it refuses them all.

    `meanwhile` is begun before the first of them is waited for.
    """

    def __init__(
        self, settings: ProviderKeySettings, meanwhile: Callable[[], None] | None = None
    ) -> None:
        self._meanwhile = meanwhile
        self.ring = KeyPool()
        self._settings = settings
        self._secrets: SecretsManager | None = None
        self._reading = threading.Lock()  # many may need the key at once, and one asks for it
        self._was_read = False
        self._read_at = _NEVER
        self._refreshed_at = _NEVER
        self._failed_at = _NEVER

    def in_turn(self) -> list[str]:
        """Return the keys for one call; ProviderKeyMissing if there is none to be had."""
        if self._settings.key_for_sam_local:
            self.ring.hold(keys_in(self._settings.key_for_sam_local))
        else:
            self._fetch(force=False)
        return self.ring.in_turn()

    def refreshed(self) -> list[str]:
        """Return the keys that are new in the secret; none if it was asked in vain just now."""
        if self._settings.key_for_sam_local or not self._refresh_is_due():
            return []
        self._refreshed_at = time.monotonic()
        self._fetch(force=True)
        keys = self.ring.usable()
        if keys:
            self._refreshed_at = _NEVER  # a secret that changes may change again soon
        return keys

    def _refresh_is_due(self) -> bool:
        return time.monotonic() - self._refreshed_at >= REFRESH_SECONDS

    def _fetch(self, *, force: bool) -> None:
        with self._reading:
            now = time.monotonic()
            is_fresh = now - self._read_at < CACHE_SECONDS and not force
            if is_fresh or (self._was_read and now - self._failed_at < REFRESH_SECONDS):
                return  # nobody waits for a Secrets Manager that was away a moment ago
            if self._meanwhile and not self._was_read:
                self._meanwhile()
            try:
                secret = self._manager().text(self._settings.secret_arn)
            except SecretUnreadableError:
                if not self._was_read:
                    raise ProviderKeyMissing(
                        "The provider's key could not be read from Secrets Manager. Store it in "
                        "the secret that the stack's output ProviderKeySecretId names; under "
                        "`sam local`, give it as ABLIT_KEY in the file for --env-vars."
                    ) from None
                self._failed_at = time.monotonic()
                return  # old keys beat none
            self.ring.hold(keys_in(secret))
            self._was_read = True
            self._read_at = time.monotonic()

    def _manager(self) -> SecretsManager:
        if self._secrets is None:
            self._secrets = SecretsManager()
        return self._secrets


class KeySelection:
    """The keys that one call may use, the one in use first, and what a refusal means for them."""

    def __init__(self, keys: ProviderKeys) -> None:
        self._keys = keys
        self._left = keys.in_turn()
        self._limited: dict[str, ProviderRefused] = {}
        self._forbidden: str | None = None

    @property
    def key(self) -> str:
        """The key to send."""
        return self._left[0]

    def after(self, refusal: ProviderRefused, *, is_last: bool) -> ProviderRefused | None:
        """Move on to the key to use next; return the refusal to wait out first, if there is one.

        Raises the refusal if no key can help, ProviderKeyRejected if the provider accepts none.
        """
        if refusal.status == HTTPStatus.UNAUTHORIZED:
            return self._after_rejection()
        if refusal.status == HTTPStatus.FORBIDDEN:
            return self._after_prohibition(refusal)
        if refusal.status == HTTPStatus.TOO_MANY_REQUESTS:
            return self._after_limit(refusal, is_last=is_last)
        if is_retryable(refusal.status):
            return refusal
        raise refusal

    def _after_rejection(self) -> ProviderRefused | None:
        self._keys.ring.retire(self._left.pop(0))
        if not self._left and not self._limited:
            self._left = self._keys.refreshed()
        if not self._left and not self._limited:
            raise ProviderKeyRejected(
                "The provider does not accept the key that is stored for it; your own key was "
                "fine. Whoever runs this endpoint has to store a valid one in the secret."
            )
        return self._next()

    def _after_prohibition(self, refusal: ProviderRefused) -> ProviderRefused | None:
        """Try one other key; if that may not either, the request is to blame and no key."""
        if self._forbidden:
            self._keys.ring.restore(self._forbidden)
            raise refusal
        if not self._left[1:] and not self._limited:
            raise refusal
        self._forbidden = self._left.pop(0)
        self._keys.ring.retire(self._forbidden)
        return self._next()

    def _after_limit(self, refusal: ProviderRefused, *, is_last: bool) -> ProviderRefused | None:
        self._limited[self._left.pop(0)] = refusal
        if is_last:
            self._left = []  # the caller is told of the shortest wait
        return self._next()

    def _next(self) -> ProviderRefused | None:
        """Return nothing if a key is left, else put the one in that may be used soonest."""
        if self._left:
            return None
        key = min(self._limited, key=self._wait_seconds)
        self._left = [key]
        return self._limited.pop(key)

    def _wait_seconds(self, key: str) -> float:
        return retry_after_seconds(self._limited[key].headers()) or 0.0


def keys_in(secret: Any) -> list[str]:
    """Return the keys in a secret: its text, or `api_keys` or `api_key` of a JSON object."""
    text = secret if isinstance(secret, str) else ""
    found = _keys_of(text) if text.lstrip().startswith("{") else [text]
    stripped = [key.strip() for key in found if isinstance(key, str)]
    keys = [key for key in stripped if key and key.isascii() and key.isprintable()]
    if not keys:
        raise ProviderKeyMissing(
            "The secret holds no usable key. Store the provider's key in it, as plain text or as "
            '{"api_key": "..."}, or several as {"api_keys": ["...", "..."]}.'
        )
    return list(dict.fromkeys(keys))


def _keys_of(text: str) -> list[Any]:
    document = parse_object(text) or {}
    found = document.get("api_keys", [document.get("api_key")])
    return found if isinstance(found, list) else []
