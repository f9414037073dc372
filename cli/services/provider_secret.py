"""The secret that holds the provider's keys, and its versions."""

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
    """What the secret holds at the moment."""

    version_id: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A version that still has a stage."""

    id: str
    stages: tuple[str, ...]
    created_at: datetime | None


class ProviderSecret:
    """A secret in Secrets Manager."""

    def __init__(self, client: "SecretsManagerClient", secret_id: str) -> None:
        self._client, self._id = client, secret_id

    def current(self) -> Current | None:
        """What it holds, or None as long as it is empty."""
        with suppress(self._client.exceptions.ResourceNotFoundException):
            said = self._client.get_secret_value(SecretId=self._id, VersionStage=CURRENT)
            return Current(version_id=said["VersionId"], text=said.get("SecretString", ""))
        return None

    def versions(self) -> list[Version]:
        """Every version that has a stage, the current one first."""
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
        """Makes a text the current version at once."""
        self._client.put_secret_value(SecretId=self._id, SecretString=text)

    @contextmanager
    def staged(self, text: str) -> Iterator[str]:
        """Keeps a text as the pending version for a while; gives the version's id."""
        version_id = self._client.put_secret_value(
            SecretId=self._id, SecretString=text, VersionStages=[PENDING]
        )["VersionId"]
        try:
            yield version_id
        finally:
            # A version without a stage is Secrets Manager's to delete.
            with suppress(self._client.exceptions.InvalidParameterException):
                self._client.update_secret_version_stage(
                    SecretId=self._id, VersionStage=PENDING, RemoveFromVersionId=version_id
                )

    def promote(self, version_id: str, instead_of: str) -> None:
        """Makes a version the current one; refused if another one has become it meanwhile."""
        self._client.update_secret_version_stage(
            SecretId=self._id,
            VersionStage=CURRENT,
            MoveToVersionId=version_id,
            RemoveFromVersionId=instead_of,
        )


def secret_of(stack: Stack) -> ProviderSecret:
    """The secret of a stack: the one that it was given, else the one that it made."""
    given = stack.parameter("ProviderKeySecretArn")
    return ProviderSecret(stack.secrets(), given or stack.resource("ProviderKeySecret"))


def keys_in(text: str) -> list[str]:
    """The keys that a secret's text holds; a ClickException if it holds none."""
    said = text.strip()
    if not said.startswith("{"):
        found = [said]
    else:
        try:
            document = json.loads(said)
            found = document["api_keys"] if "api_keys" in document else [document["api_key"]]
        except (ValueError, LookupError):
            found = []
    if not isinstance(found, list) or not all(isinstance(key, str) and key for key in found):
        found = []
    if not found:
        raise click.ClickException(
            "The secret holds no key. Put one in: relay provider-key set, without --add."
        )
    return found
