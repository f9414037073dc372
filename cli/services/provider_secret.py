"""The secret with the provider's keys, and its versions."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import click

from cli.aws.target_stack import Stack

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

CURRENT, PENDING = "AWSCURRENT", "AWSPENDING"


@dataclass(frozen=True, slots=True, kw_only=True)
class Current:
    """The current version of the secret."""

    version_id: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A version with a stage."""

    id: str
    stages: tuple[str, ...]
    created_at: datetime | None


class ProviderSecret:
    """A secret in Secrets Manager."""

    def __init__(self, client: "SecretsManagerClient", secret_id: str) -> None:
        self._client, self._id = client, secret_id

    def current(self) -> Current | None:
        """Return the current version, or None if the secret is empty."""
        with suppress(self._client.exceptions.ResourceNotFoundException):
            value = self._client.get_secret_value(SecretId=self._id, VersionStage=CURRENT)
            return Current(version_id=value["VersionId"], text=value.get("SecretString", ""))
        return None

    def versions(self) -> list[Version]:
        """Return the versions with a stage, the current one first."""
        listed = self._client.list_secret_version_ids(SecretId=self._id)["Versions"]
        versions = [
            Version(
                id=each["VersionId"],
                stages=tuple(each["VersionStages"]),
                created_at=each.get("CreatedDate"),
            )
            for each in listed
            if each.get("VersionStages")
        ]
        return sorted(versions, key=lambda version: CURRENT not in version.stages)

    def put(self, text: str) -> None:
        """Store a text as the current version."""
        self._client.put_secret_value(SecretId=self._id, SecretString=text)

    @contextmanager
    def staged(self, text: str) -> Iterator[str]:
        """Store a text as the pending version for the block; yield the version's id."""
        version_id = self._client.put_secret_value(
            SecretId=self._id, SecretString=text, VersionStages=[PENDING]
        )["VersionId"]
        try:
            yield version_id
        finally:
            # Secrets Manager deletes versions without a stage.
            with suppress(self._client.exceptions.InvalidParameterException):
                self._client.update_secret_version_stage(
                    SecretId=self._id, VersionStage=PENDING, RemoveFromVersionId=version_id
                )

    def promote(self, version_id: str, instead_of: str) -> None:
        """Make a version the current one; fails if the current version has changed."""
        self._client.update_secret_version_stage(
            SecretId=self._id,
            VersionStage=CURRENT,
            MoveToVersionId=version_id,
            RemoveFromVersionId=instead_of,
        )


def secret_of(stack: Stack) -> ProviderSecret:
    """Return the stack's secret: the given one, or its own."""
    given = stack.parameter("ProviderKeySecretArn")
    return ProviderSecret(stack.secrets(), given or stack.resource("ProviderKeySecret"))


def keys_in(text: str) -> list[str]:
    """Return the keys in a secret's text; ClickException if there are none."""
    text = text.strip()
    if not text.startswith("{"):
        found = [text]
    else:
        try:
            document = json.loads(text)
            found = document["api_keys"] if "api_keys" in document else [document["api_key"]]
        except (ValueError, LookupError):
            found = []
    if not isinstance(found, list) or not all(isinstance(key, str) and key for key in found):
        found = []
    if not found:
        raise click.ClickException(
            "The secret contains no key. Store one: relay provider-key set, without --add."
        )
    return found
