"""Fixes that doctor suggests for a local stack."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from cli.diagnostics.checkup import with_local_fix
from llm_relay.core.deadline import Deadline
from llm_relay.diagnostics.inspection import with_list_fixes
from llm_relay.diagnostics.provider_findings import base_url
from llm_relay.diagnostics.provider_probe import probe_provider
from llm_relay.providers.settings import ProviderSettings, provider_settings

if TYPE_CHECKING:
    from llm_relay.diagnostics.checklist import Finding

CLOSED_PORT = "http://127.0.0.1:1/v1"


def not_there() -> Finding:
    settings = ProviderSettings.from_mapping({"UPSTREAM_BASE_URL": CLOSED_PORT})
    return base_url(probe_provider(settings, ["sk-x"], None, Deadline.after(30)))


def test_the_fix_for_an_unreachable_provider_is_a_restart() -> None:
    deployed = not_there()
    here = with_local_fix(deployed)
    assert "sam deploy" in (deployed.fix or "")
    assert "NAT gateway" in deployed.says
    assert "UPSTREAM_BASE_URL=https://... make run" in (here.fix or "")
    assert "sam deploy" not in (here.fix or "")
    assert "NAT gateway" not in here.says


def test_the_fix_for_a_listed_provider_is_in_the_list() -> None:
    entries = json.dumps([{"name": "dead", "base_url": CLOSED_PORT}])
    [listed] = provider_settings({"PROVIDERS": entries})
    here = with_local_fix(with_list_fixes(not_there(), listed))
    assert "set base_url of 'dead' in the list" in (here.fix or "")
    assert "PROVIDERS='[...]' make run" in (here.fix or "")
    for words in ("sam deploy", "UPSTREAM_BASE_URL", "Providers"):
        assert words not in (here.fix or "")
