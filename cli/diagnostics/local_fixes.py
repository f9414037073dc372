"""Replaces fixes for deployed stacks with those for the local stack."""

import re
from dataclasses import replace

from llm_relay.diagnostics.checklist import Checklist, Finding
from llm_relay.diagnostics.list_fixes import IN_LIST
from llm_relay.diagnostics.provider_findings import SET_KEY, SET_URL

FIXES = {  # in order: later patterns are parts of earlier ones
    re.escape(SET_URL): "restart with UPSTREAM_BASE_URL=https://... make run",
    re.escape(IN_LIST): "in the list, then: PROVIDERS='[...]' make run, and the rest as before",
    re.escape(SET_KEY): "restart with ABLIT_KEY=ak_... make run, and the rest as before",
    r"The stack's output ShowClientKey prints": "'make run' prints",
    r" \(in a VPC that takes a NAT gateway\)": "",
    r"sam logs --name \w+": "tail .relay-local.log",
    r"sam deploy\b(?! --)": "make run",
    r"relay (?=keys|provider-key)": "relay --local ",
}


def local_fix(checks: Checklist) -> None:
    """Replace the commands of all findings."""
    for name, found in checks.findings.items():
        checks.findings[name] = at_home(found)


def at_home(found: Finding) -> Finding:
    """Return a finding with local commands."""
    return replace(found, says=localised(found.says), fix=found.fix and localised(found.fix))


def localised(text: str) -> str:
    """Return a text with local commands."""
    for deployed, local in FIXES.items():
        text = re.sub(deployed, local, text)
    return text
