"""Replaces the fixes for a stack's single provider by those for a provider of a list."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from llm_relay.diagnostics.provider_findings import ADD_KEY, SET_KEY, SET_URL

if TYPE_CHECKING:
    from llm_relay.diagnostics.checklist import Finding
    from llm_relay.providers.provider_list import ProviderEntry

IN_LIST = "in Providers, then: sam deploy"


def with_list_fixes(finding: Finding, entry: ProviderEntry | None) -> Finding:
    """Return a finding with the fix for a provider of a list; unchanged for a single one."""
    if entry is None:
        return finding
    fixes = {SET_URL: f"set base_url of {entry.name!r} {IN_LIST}"}
    if entry.secret_arn:
        store = "aws secretsmanager put-secret-value --secret-string file://provider-key.txt"
        fixes |= {
            SET_KEY: f"{store} --secret-id {entry.secret_arn}",
            ADD_KEY: '{"api_keys": ["...", "..."]} in its secret',
            "ProviderKeySecretArn": "ProviderSecretArns",
        }
    fix = finding.fix
    for single, in_list in fixes.items():
        fix = fix and fix.replace(single, in_list)
    return replace(finding, fix=fix)
