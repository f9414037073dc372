"""What DoctorFunction does: looks at settings and secret, asks the provider, never tells a key."""

from __future__ import annotations

import os
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from llm_relay.deadline import Deadline
from llm_relay.doctor import provider_findings
from llm_relay.doctor.checklist import Checklist, fail, ok
from llm_relay.doctor.secret_form import fault_of
from llm_relay.doctor.visit import visit
from llm_relay.provider_key import keys_in
from llm_relay.secrets_manager import SecretsManager, SecretUnreadableError
from llm_relay.settings import ProviderKeySettings, UpstreamSettings
from llm_relay.upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from llm_relay.doctor.checklist import Finding
    from llm_relay.doctor.visit import Visit

ANSWER_SECONDS = 2.0  # kept back, to say what was found
STORE = f"Store the bare key in it: {provider_findings.SET_KEY}"
OF_PROVIDER = (  # each needs the one that is named with it
    ("base url", provider_findings.base_url, "secret"),
    ("provider key", provider_findings.provider_key, "base url"),
    ("model", provider_findings.model, "provider key"),
    ("rate limit", provider_findings.rate_limit, "provider key"),
    ("provider stream", provider_findings.stream, "model"),
    ("function clock", provider_findings.clock, "base url"),
)


def examine(event: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """Return what was found within that many seconds."""
    deadline = Deadline.after(seconds - ANSWER_SECONDS)
    checks, inside = Checklist(), Inside(os.environ, event.get("model"), deadline)
    checks.check("settings", inside.settings)
    checks.check("secret", inside.secret, "settings")
    for name, look, need in OF_PROVIDER:
        checks.check(name, partial(inside.provider, look), need)
    return checks.document()


class Inside:
    """What a function finds where it runs."""

    def __init__(self, environ: Mapping[str, str], model: str | None, deadline: Deadline) -> None:
        self._environ, self._model, self._deadline = environ, model, deadline
        self._keys: list[str] = []

    def provider(self, look: Callable[[Visit], Finding]) -> Finding:
        """What one look says of the provider, which is asked once for all of them."""
        return look(self._visit)

    @cached_property
    def _visit(self) -> Visit:
        upstream = Upstream(UpstreamSettings.from_mapping(self._environ))
        return visit(upstream, self._keys, self._model, self._deadline)

    def settings(self) -> Finding:
        """Whether the functions can read their settings."""
        try:
            settings = UpstreamSettings.from_mapping(self._environ)
        except ValueError as error:
            return fail(f"A setting is wrong: {error}.", "Deploy the template as it is: sam deploy")
        patience = max(settings.first_byte_seconds, settings.idle_seconds)
        return ok(f"dialect {settings.dialect.name}, patience {patience:g} s")

    def secret(self) -> Finding:
        """Whether the secret can be read, and what it holds can be sent."""
        settings = ProviderKeySettings.from_mapping(self._environ)
        try:
            text = settings.key_for_sam_local or SecretsManager().text(settings.secret_arn)
        except SecretUnreadableError as error:
            return _unreadable(error)
        if text is None:
            return fail("The secret holds bytes in place of text.", STORE)
        if fault := fault_of(text):
            return fail(f"The secret {fault}.", STORE)
        self._keys = keys_in(text)
        where = "from ABLIT_KEY" if settings.key_for_sam_local else "in the secret"
        return ok(f"{len(self._keys)} key{'s' * (len(self._keys) != 1)} {where}")


def _unreadable(error: SecretUnreadableError) -> Finding:
    if error.code == "ResourceNotFoundException":
        return fail(f"The secret is empty, or it is gone. {error}", STORE)
    if error.code in {"AccessDeniedException", "DecryptionFailure"}:
        return fail(
            f"The functions may not read the secret. {error}",
            "A secret of your own must let them in: give its ARN as ProviderKeySecretArn, and "
            "allow kms:Decrypt to their roles if its key is yours. Then: sam deploy",
        )
    return fail(
        f"The secret cannot be read. {error}",
        "Run it again; in a VPC, the functions need an endpoint for Secrets Manager.",
    )
