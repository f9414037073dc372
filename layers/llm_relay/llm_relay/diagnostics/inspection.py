"""Inspects settings, secret and providers for DoctorFunction, without showing a key."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

from llm_relay.aws.secrets_manager import SecretsManager, SecretUnreadableError
from llm_relay.core.deadline import Deadline
from llm_relay.diagnostics import provider_findings
from llm_relay.diagnostics.checklist import Checklist, Finding, fail, ok
from llm_relay.diagnostics.list_fixes import with_list_fixes
from llm_relay.diagnostics.provider_probe import ProviderProbe, probe_provider
from llm_relay.diagnostics.secret_format import format_error
from llm_relay.providers.key_pool import keys_in
from llm_relay.providers.provider_list import ProviderEntry, parse_provider_list
from llm_relay.providers.settings import ProviderKeySettings, ProviderSettings

_REPLY_RESERVE_SECONDS = 2.0
_STORE_KEY = f"Store the bare key in it: {provider_findings.SET_KEY}"
_PROVIDER_CHECKS = (  # name, the check that it requires, check
    ("base url", "secret", provider_findings.base_url),
    ("provider key", "base url", provider_findings.provider_key),
    ("model", "provider key", provider_findings.model),
    ("rate limit", "provider key", provider_findings.rate_limit),
    ("provider stream", "model", provider_findings.stream),
    ("function clock", "base url", provider_findings.clock),
)


def inspect_stack(event: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """Return the findings as JSON, within that many seconds."""
    deadline = Deadline.after(seconds - _REPLY_RESERVE_SECONDS)
    checks = Checklist()
    checks.run("settings", _check_settings)
    entries = _provider_entries() if checks.passed("settings") else [None]
    for index, entry in enumerate(entries):
        share = deadline.within(deadline.remaining() / (len(entries) - index))
        _inspect_provider(checks, entry, event.get("model"), share)
    return checks.document()


def _inspect_provider(
    checks: Checklist, entry: ProviderEntry | None, model: str | None, deadline: Deadline
) -> None:
    """Run the checks of one provider; with a list of providers, their names end in its name."""
    suffix = f" of {entry.name}" if entry else ""
    keys: list[str] = []

    def run(name: str, required: str, check: Callable[[], Finding]) -> None:
        checks.run(name + suffix, lambda: with_list_fixes(check(), entry), required)

    @cache
    def probe() -> ProviderProbe:
        settings = ProviderSettings.from_mapping(os.environ)
        if entry is None:
            return probe_provider(settings, keys, model, deadline)
        return probe_provider(entry.settings(settings), keys, entry.model_name(model), deadline)

    def run_on_probe(name: str, required: str, check: Callable[[ProviderProbe], Finding]) -> None:
        run(name, required + suffix, lambda: check(probe()))

    run("secret", "settings", partial(_check_secret, entry, keys))
    for each in _PROVIDER_CHECKS:
        run_on_probe(*each)


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


def _check_secret(entry: ProviderEntry | None, keys: list[str]) -> Finding:
    """Check that the secret can be read and its keys can be sent; add them to `keys`."""
    settings = ProviderKeySettings.from_mapping(os.environ)
    settings = entry.key_settings(settings) if entry else settings
    try:
        text = settings.key_for_sam_local or SecretsManager().get_text(settings.secret_arn)
    except SecretUnreadableError as error:
        return _unreadable_secret(error)
    if text is None:
        return fail("The secret is binary, not text.", _STORE_KEY)
    if problem := format_error(text):
        return fail(f"The secret {problem}.", _STORE_KEY)
    keys += keys_in(text)
    place = "from ABLIT_KEY" if settings.key_for_sam_local else "in the secret"
    return ok(f"{len(keys)} key{'s' * (len(keys) != 1)} {place}")


def _unreadable_secret(error: SecretUnreadableError) -> Finding:
    if error.code == "ResourceNotFoundException":
        return fail(f"The secret is empty or deleted. {error}", _STORE_KEY)
    if error.code in {"AccessDeniedException", "DecryptionFailure"}:
        return fail(
            f"The functions may not read the secret. {error}",
            "Give your own secret's ARN as ProviderKeySecretArn, and allow kms:Decrypt to the "
            "functions' roles if you manage its key. Then: sam deploy",
        )
    fix = "Run it again; in a VPC, give the functions an endpoint for Secrets Manager."
    return fail(f"The secret cannot be read. {error}", fix)
