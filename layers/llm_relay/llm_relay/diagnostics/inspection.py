"""Inspects settings, secret and providers for DoctorFunction, without showing a key."""

from __future__ import annotations

import os
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from llm_relay.aws.secrets_manager import SecretsManager, SecretUnreadableError
from llm_relay.core.deadline import Deadline
from llm_relay.diagnostics import provider_findings
from llm_relay.diagnostics.checklist import Checklist, fail, ok
from llm_relay.diagnostics.list_fixes import with_list_fixes
from llm_relay.diagnostics.provider_probe import probe_provider
from llm_relay.diagnostics.secret_format import format_error
from llm_relay.providers.key_pool import keys_in
from llm_relay.providers.provider_list import parse_provider_list
from llm_relay.providers.settings import ProviderKeySettings, ProviderSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from llm_relay.diagnostics.checklist import Finding
    from llm_relay.diagnostics.provider_probe import ProviderProbe
    from llm_relay.providers.provider_list import ProviderEntry

_REPLY_RESERVE_SECONDS = 2.0
_STORE_KEY = f"Store the bare key in it: {provider_findings.SET_KEY}"
_PROVIDER_CHECKS = (  # name, check, the check that it requires
    ("base url", provider_findings.base_url, "secret"),
    ("provider key", provider_findings.provider_key, "base url"),
    ("model", provider_findings.model, "provider key"),
    ("rate limit", provider_findings.rate_limit, "provider key"),
    ("provider stream", provider_findings.stream, "model"),
    ("function clock", provider_findings.clock, "base url"),
)


def inspect_stack(event: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """Return the findings as JSON, within that many seconds."""
    deadline = Deadline.after(seconds - _REPLY_RESERVE_SECONDS)
    checks = Checklist()
    checks.run("settings", _check_settings)
    entries = _provider_entries() if checks.passed("settings") else [None]
    for index, entry in enumerate(entries):
        share = deadline.within(deadline.remaining() / (len(entries) - index))
        _ProviderInspection(entry, event.get("model"), share).run(checks)
    return checks.document()


def _check_settings() -> Finding:
    try:
        settings = ProviderSettings.from_mapping(os.environ)
        dialects = [entry.dialect for entry in _provider_entries() if entry]
    except ValueError as error:
        return fail(f"A setting is wrong: {error}.", "Correct or remove it. Then: sam deploy")
    dialect = ", ".join(dialects) or settings.dialect.name
    return ok(f"dialect {dialect}, timeout {settings.max_silence_seconds:g} s")


def _provider_entries() -> list[ProviderEntry | None]:
    """Return the providers of the list; None stands for the single one of a stack without."""
    text = os.environ.get("PROVIDERS")
    return [*parse_provider_list(text)] if text else [None]


class _ProviderInspection:
    def __init__(self, entry: ProviderEntry | None, model: str | None, deadline: Deadline) -> None:
        self._entry, self._deadline = entry, deadline
        self._model = entry.model_name(model) if entry else model
        self._keys: list[str] = []

    def run(self, checks: Checklist) -> None:
        """Run all checks; with a list of providers, their names end in this one's."""
        suffix = f" of {self._entry.name}" if self._entry else ""
        checks.run("secret" + suffix, partial(self._with_fixes, self._check_secret), "settings")
        for name, check, required in _PROVIDER_CHECKS:
            run_check = partial(self._with_fixes, partial(self._check_probe, check))
            checks.run(name + suffix, run_check, required + suffix)

    def _with_fixes(self, check: Callable[[], Finding]) -> Finding:
        return with_list_fixes(check(), self._entry) if self._entry else check()

    def _check_probe(self, check: Callable[[ProviderProbe], Finding]) -> Finding:
        return check(self._probe)

    @cached_property
    def _probe(self) -> ProviderProbe:
        settings = ProviderSettings.from_mapping(os.environ)
        settings = self._entry.settings(settings) if self._entry else settings
        return probe_provider(settings, self._keys, self._model, self._deadline)

    def _check_secret(self) -> Finding:
        settings = ProviderKeySettings.from_mapping(os.environ)
        settings = self._entry.key_settings(settings) if self._entry else settings
        try:
            text = settings.key_for_sam_local or SecretsManager().get_text(settings.secret_arn)
        except SecretUnreadableError as error:
            return _unreadable_secret(error)
        if text is None:
            return fail("The secret is binary, not text.", _STORE_KEY)
        if problem := format_error(text):
            return fail(f"The secret {problem}.", _STORE_KEY)
        self._keys = keys_in(text)
        place = "from ABLIT_KEY" if settings.key_for_sam_local else "in the secret"
        return ok(f"{len(self._keys)} key{'s' * (len(self._keys) != 1)} {place}")


def _unreadable_secret(error: SecretUnreadableError) -> Finding:
    if error.code == "ResourceNotFoundException":
        return fail(f"The secret is empty or deleted. {error}", _STORE_KEY)
    if error.code in {"AccessDeniedException", "DecryptionFailure"}:
        return fail(
            f"The functions may not read the secret. {error}",
            "Allow them to read your own secret: give its ARN as ProviderKeySecretArn, and allow "
            "kms:Decrypt to their roles if you manage its key. Then: sam deploy",
        )
    return fail(
        f"The secret cannot be read. {error}",
        "Run it again; in a VPC, give the functions an endpoint for Secrets Manager.",
    )
