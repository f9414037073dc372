"""What mends a provider of a list, where findings name what mends the one of a stack without."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from llm_relay.diagnostics.provider_findings import ADD_KEY, SET_KEY, SET_URL

if TYPE_CHECKING:
    from llm_relay.diagnostics.checklist import Finding
    from llm_relay.providers.provider_list import ProviderEntry

IN_LIST = "in Providers, then: sam deploy"


def with_list_fixes(found: Finding, listed: ProviderEntry) -> Finding:
    """Return the same finding, of a provider of a list."""
    fix = found.fix or ""
    for alone, in_list in _cures(listed).items():
        fix = fix.replace(alone, in_list)
    return replace(found, fix=fix or None)


def _cures(listed: ProviderEntry) -> dict[str, str]:
    cures = {SET_URL: f"set base_url of {listed.name!r} {IN_LIST}"}
    if not listed.secret_arn:
        return cures
    store = "aws secretsmanager put-secret-value --secret-string file://provider-key.txt"
    return cures | {
        SET_KEY: f"{store} --secret-id {listed.secret_arn}",
        ADD_KEY: '{"api_keys": ["...", "..."]} in its secret',
        "ProviderKeySecretArn": "ProviderSecretArns",
    }
