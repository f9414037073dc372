"""What mends the stack of `make run`, where the doctor names what mends a deployed one."""

import re
from dataclasses import replace

from llm_relay.diagnostics.checklist import Checklist, Finding
from llm_relay.diagnostics.list_fixes import IN_LIST
from llm_relay.diagnostics.provider_findings import SET_KEY, SET_URL

CURES = {  # in this order: the last are parts of the others
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
    """Puts local commands in the place of those for an account."""
    for name, found in checks.findings.items():
        checks.findings[name] = at_home(found)


def at_home(found: Finding) -> Finding:
    """The same finding, of a stack on this machine."""
    return replace(found, says=localised(found.says), fix=found.fix and localised(found.fix))


def localised(text: str) -> str:
    """A text whose commands are for the stack on this machine."""
    for deployed, local in CURES.items():
        text = re.sub(deployed, local, text)
    return text
