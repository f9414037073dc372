"""The secret with the provider's keys, and its versions."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from cli.aws.target_stack import Stack

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager.type_defs import (
        GetSecretValueResponseTypeDef,
        SecretVersionsListEntryTypeDef,
    )

CURRENT, PENDING = "AWSCURRENT", "AWSPENDING"


class ProviderSecret:
    """The stack's secret in Secrets Manager: the one named by a parameter, or its own."""

    def __init__(self, stack: Stack) -> None:
        self._client = stack.client("secretsmanager")
        named = stack.parameter("ProviderKeySecretArn")
        self._id = named or stack.resource("ProviderKeySecret")

    def current(self) -> "GetSecretValueResponseTypeDef | None":
        """Return the current version, or None if the secret is empty."""
        with suppress(self._client.exceptions.ResourceNotFoundException):
            return self._client.get_secret_value(SecretId=self._id, VersionStage=CURRENT)
        return None

    def versions(self) -> list["SecretVersionsListEntryTypeDef"]:
        """Return the versions with a stage, the current one first."""
        versions = self._client.list_secret_version_ids(SecretId=self._id)["Versions"]
        staged = [version for version in versions if version.get("VersionStages")]
        return sorted(staged, key=lambda version: CURRENT not in version["VersionStages"])

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
