"""What DoctorFunction does: looks at settings and secret, asks the provider, never tells a key."""

from __future__ import annotations

import os
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from llm_relay.aws.secrets_manager import SecretsManager, SecretUnreadableError
from llm_relay.core.deadline import Deadline
from llm_relay.diagnostics import provider_findings
from llm_relay.diagnostics.checklist import Checklist, fail, ok
from llm_relay.diagnostics.provider_list_fixes import with_list_fixes
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


def inspect_stack(event: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """Return what was found within that many seconds."""
    deadline = Deadline.after(seconds - ANSWER_SECONDS)
    checks = Checklist()
    checks.check("settings", partial(settings_of, os.environ))
    providers = listed_in(os.environ) if checks.works("settings") else [None]
    for place, listed in enumerate(providers):
        share = deadline.within(deadline.remaining() / (len(providers) - place))
        _examine_one(checks, StackInspection(os.environ, event.get("model"), share, listed))
    return checks.document()


def _examine_one(checks: Checklist, inside: StackInspection) -> None:
    """Look at one provider; where there are several, its name is in those of the checks."""
    checks.check("secret" + inside.mark, partial(inside.cured, inside.secret), "settings")
    for name, look, need in OF_PROVIDER:
        of_provider = partial(inside.cured, partial(inside.provider, look))
        checks.check(name + inside.mark, of_provider, need + inside.mark)


def settings_of(environ: Mapping[str, str]) -> Finding:
    """Whether the functions can read their settings."""
    try:
        settings = ProviderSettings.from_mapping(environ)
        dialects = [each.dialect for each in listed_in(environ) if each]
    except ValueError as error:
        return fail(f"A setting is wrong: {error}.", "Mend it, or leave it out. Then: sam deploy")
    dialect = ", ".join(dialects) or settings.dialect.name
    return ok(f"dialect {dialect}, patience {settings.max_silence_seconds:g} s")


def listed_in(environ: Mapping[str, str]) -> list[ProviderEntry | None]:
    """Return the providers of the list, or None for the one of a stack without."""
    text = environ.get("PROVIDERS")
    return [*parse_provider_list(text)] if text else [None]


class StackInspection:
    """What a function finds where it runs, of one provider."""

    def __init__(
        self,
        environ: Mapping[str, str],
        model: str | None,
        deadline: Deadline,
        listed: ProviderEntry | None = None,
    ) -> None:
        self._environ, self._deadline, self._listed = environ, deadline, listed
        self._model = listed.model_name(model) if listed else model
        self._keys: list[str] = []
        self.mark = f" of {listed.name}" if listed else ""

    def cured(self, look: Callable[[], Finding]) -> Finding:
        """What one look says, with what mends it where this provider is set."""
        return with_list_fixes(look(), self._listed) if self._listed else look()

    def provider(self, look: Callable[[ProviderProbe], Finding]) -> Finding:
        """What one look says of the provider, which is asked once for all of them."""
        return look(self._visit)

    @cached_property
    def _visit(self) -> ProviderProbe:
        settings = ProviderSettings.from_mapping(self._environ)
        settings = self._listed.settings(settings) if self._listed else settings
        return probe_provider(settings, self._keys, self._model, self._deadline)

    def secret(self) -> Finding:
        """Whether the secret can be read, and what it holds can be sent."""
        settings = ProviderKeySettings.from_mapping(self._environ)
        settings = self._listed.key_settings(settings) if self._listed else settings
        try:
            text = settings.key_for_sam_local or SecretsManager().text(settings.secret_arn)
        except SecretUnreadableError as error:
            return _unreadable(error)
        if text is None:
            return fail("The secret holds bytes in place of text.", STORE)
        if fault := format_error(text):
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
