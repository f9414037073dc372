"""Inspects settings, secrets and providers for DoctorFunction, without showing a key."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from llm_relay.aws.secrets_manager import SecretsManager, SecretUnreadableError
from llm_relay.core.deadline import REPLY_RESERVE_SECONDS, Deadline
from llm_relay.diagnostics import provider_findings
from llm_relay.diagnostics.checklist import Checklist, Finding, fail, ok
from llm_relay.diagnostics.provider_findings import ADD_KEY, SET_KEY, SET_URL
from llm_relay.diagnostics.provider_probe import ProviderProbe, probe_provider
from llm_relay.providers.key_pool import keys_in
from llm_relay.providers.settings import ProviderSettings, provider_settings

IN_LIST = "in Providers, then: sam deploy"
_STORE_KEY = f"Store the bare key in it: {SET_KEY}"
_ASSIGNMENT = re.compile(r"(export\s+)?[A-Z][A-Z0-9_]+\s*=")
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
    deadline = Deadline.after(seconds - REPLY_RESERVE_SECONDS)
    checks = Checklist()
    finding, providers = _check_settings()
    checks.run("settings", lambda: finding)
    for index, settings in enumerate(providers):
        share = deadline.within(deadline.remaining() / (len(providers) - index))
        _inspect_provider(checks, settings, event.get("model"), share)
    return checks.document()


def _check_settings() -> tuple[Finding, Sequence[ProviderSettings]]:
    """Check that the settings are valid; return those of all providers too."""
    try:
        providers = provider_settings(os.environ)
    except ValueError as error:
        finding = fail(f"A setting is wrong: {error}.", "Correct or remove it. Then: sam deploy")
        # The checks of a single provider are listed as skipped.
        return finding, [ProviderSettings.from_mapping({})]
    dialects = ", ".join(each.dialect.name for each in providers)
    return ok(f"dialect {dialects}, timeout {providers[0].max_silence_seconds:g} s"), providers


def _inspect_provider(
    checks: Checklist, settings: ProviderSettings, model: str | None, deadline: Deadline
) -> None:
    """Run the checks of one provider; with a list of providers, their names end in its name."""
    suffix = f" of {settings.name}" if settings.is_listed else ""
    secret = cache(lambda: _check_secret(settings))
    probe = cache(lambda: probe_provider(settings, secret()[1], model, deadline))

    def run(name: str, required: str, check: Callable[[], Finding]) -> None:
        checks.run(name + suffix, lambda: with_list_fixes(check(), settings), required)

    def run_on_probe(name: str, required: str, check: Callable[[ProviderProbe], Finding]) -> None:
        run(name, required + suffix, lambda: check(probe()))

    run("secret", "settings", lambda: secret()[0])
    for each in _PROVIDER_CHECKS:
        run_on_probe(*each)


def with_list_fixes(finding: Finding, settings: ProviderSettings) -> Finding:
    """Return a finding with the fix for a provider of a list; unchanged for a single one."""
    if not (settings.is_listed and finding.fix):
        return finding
    fixes = {SET_URL: f"set base_url of {settings.name!r} {IN_LIST}"}
    if settings.secret_arn != os.environ.get("PROVIDER_KEY_SECRET_ARN", ""):
        store = "aws secretsmanager put-secret-value --secret-string file://provider-key.txt"
        fixes |= {
            SET_KEY: f"{store} --secret-id {settings.secret_arn}",
            ADD_KEY: '{"api_keys": ["...", "..."]} in its secret',
            "ProviderKeySecretArn": "ProviderSecretArns",
        }
    fix = finding.fix
    for single, in_list in fixes.items():
        fix = fix.replace(single, in_list)
    return replace(finding, fix=fix)


def _check_secret(settings: ProviderSettings) -> tuple[Finding, list[str]]:
    """Check a provider's secret; return its keys too."""
    try:
        text = settings.key_for_sam_local or SecretsManager().get_text(settings.secret_arn)
    except SecretUnreadableError as error:
        return _unreadable_secret(error), []
    if text is None:
        return fail("The secret is binary, not text.", _STORE_KEY), []
    if problem := _format_error(text):
        return fail(f"The secret {problem}.", _STORE_KEY), []
    keys = keys_in(text)
    place = "from ABLIT_KEY" if settings.key_for_sam_local else "in the secret"
    return ok(f"{len(keys)} key{'s' * (len(keys) != 1)} {place}"), keys


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


def _format_error(text: str) -> str:
    """Return what is wrong with a secret; empty if all of its keys can be sent."""
    if not text.strip():
        return "is empty"
    if not text.lstrip().startswith("{"):
        return _key_error(text)
    try:
        document = json.loads(text)
    except ValueError:
        return "begins like JSON but is not valid JSON"
    keys = document.get("api_keys", [document.get("api_key")])
    if not isinstance(keys, list) or keys in ([], [None]):
        return 'is JSON without "api_key" or a list "api_keys"'
    return next(filter(None, map(_key_error, keys)), "")


def _key_error(value: Any) -> str:
    key = value.strip() if isinstance(value, str) else ""
    errors = {
        "has a key that is empty or not a string": not key,
        "has quotation marks around the key, which would be sent as part of it": bool(
            {*key} & {*"'\"`“”‘’"}
        ),
        "has 'Bearer' before the key, which the relay adds": key.casefold().startswith("bearer "),
        "has a line NAME=value instead of the bare key": bool(_ASSIGNMENT.match(key)),
        "has a line break within the key, so it may hold more than the key": "\n" in key,
        "has white space within the key": any(map(str.isspace, key)),
        "has characters that no key can have": not (key.isascii() and key.isprintable()),
    }
    return next((error for error, is_found in errors.items() if is_found), "")
