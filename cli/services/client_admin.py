"""Creates, rotates and revokes client keys: profiles in DynamoDB, values only in API Gateway."""

import secrets
import string
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from cli.aws.target_stack import Stack
from cli.services.clients import ClientKey, ClientProfile, ClientProfiles
from llm_relay.core.client import ClientLimits

if TYPE_CHECKING:
    from mypy_boto3_apigateway import APIGatewayClient
    from mypy_boto3_apigateway.type_defs import UsagePlanResponseTypeDef

ALPHABET = string.ascii_letters + string.digits
SECRET_LENGTH = 40
LAST_SERIAL = 0xFFFF


class ClientAdmin:
    """Manages the client keys of a stack. Values of new keys are returned once."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.clients = ClientProfiles(stack)
        self._shared_plan = stack.resource("UsagePlan")

    def create(
        self, name: str, limits: ClientLimits, rate_limits: Mapping[str, Any]
    ) -> tuple[ClientProfile, str]:
        """Create a client with its first key; return it with the key's value.

        ClickException if its name is in use.
        `rate_limits` are the settings of its usage plan that differ from the stack's.
        """
        self.clients.check_unused(name)
        client_id, now = secrets.token_hex(6), int(time.time())
        with ExitStack() as undo:
            plan_id = self._shared_plan
            if rate_limits:
                plan_id = self._create_plan(f"relay-{client_id}", rate_limits)
                undo.callback(self._delete_plan, plan_id)
            client = ClientProfile(
                id=client_id, name=name, created_at=now, plan_id=plan_id, limits=limits
            )
            client, value = self._issue_key(client, undo)
            self.clients.add(client)
            undo.pop_all()
        return client, value

    def rotate(self, client: ClientProfile, overlap_seconds: int) -> tuple[ClientProfile, str]:
        """Issue another key, and return its value; existing keys expire when the overlap ends."""
        if client.revoked_at is not None:
            raise click.ClickException(f"{client.name} is revoked: create a new client.")
        end = int(time.time()) + overlap_seconds
        expiring = tuple(
            replace(key, expires_at=min(key.expires_at or end, end)) for key in client.keys
        )
        with ExitStack() as undo:
            client, value = self._issue_key(replace(client, keys=expiring), undo)
            self.clients.add_last_key(client)
            undo.pop_all()
        return client, value

    def revoke(self, client: ClientProfile) -> None:
        """Revoke all keys of a client, and delete its own plan."""
        for key in client.keys:
            self._delete_key(key.key_id)
        self._delete_plan(client.plan_id)
        self.clients.mark_revoked(client, int(time.time()))

    def revoke_key(self, client: ClientProfile, key_id: str) -> None:
        """Revoke one key; revoking the last key revokes the client."""
        (key,) = (key for key in client.keys if key.key_id == key_id)
        if len(client.keys) == 1:
            self.revoke(client)
        else:
            self._drop_key(client, key)

    def prune(self) -> list[tuple[ClientProfile, ClientKey]]:
        """Delete expired keys; return them with their clients."""
        now = time.time()
        expired = [
            (client, key)
            for client in self.clients.all()
            for key in client.keys
            if key.expires_at is not None and key.expires_at <= now
        ]
        for client, key in expired:
            self._drop_key(client, key)
        return expired

    def plan(self, plan_id: str) -> "UsagePlanResponseTypeDef":
        """Return API Gateway's description of a usage plan."""
        return self._gateway.get_usage_plan(usagePlanId=plan_id)

    @property
    def _gateway(self) -> "APIGatewayClient":
        return self.stack.client("apigateway")

    def _issue_key(self, client: ClientProfile, undo: ExitStack) -> tuple[ClientProfile, str]:
        """Create the client's next key; it is valid once the profile has its serial."""
        number = max((int(key.serial, 16) for key in client.keys), default=0) + 1
        if number > LAST_SERIAL:
            raise click.ClickException(f"{client.name} has had too many keys: create a new client.")
        serial = f"{number:04x}"
        secret = "".join(secrets.choice(ALPHABET) for _ in range(SECRET_LENGTH))
        name = f"relay-{client.id}-{serial}"
        value = f"sk-{name}-{secret}"
        key_id = self._gateway.create_api_key(
            name=name, value=value, description=client.name, enabled=True
        )["id"]
        undo.callback(self._delete_key, key_id)
        self._gateway.create_usage_plan_key(
            usagePlanId=client.plan_id, keyId=key_id, keyType="API_KEY"
        )
        key = ClientKey(serial=serial, key_id=key_id, created_at=int(time.time()))
        return replace(client, keys=(*client.keys, key)), value

    def _drop_key(self, client: ClientProfile, key: ClientKey) -> None:
        self._delete_key(key.key_id)
        self.clients.drop_key(client, key)

    def _delete_key(self, key_id: str) -> None:
        with suppress(self._gateway.exceptions.NotFoundException):
            self._gateway.delete_api_key(apiKey=key_id)

    def _create_plan(self, name: str, rate_limits: Mapping[str, Any]) -> str:
        """Create a plan from the shared one with other limits; return its id."""
        shared = self.plan(self._shared_plan)
        settings = {
            "apiStages": [
                {"apiId": each["apiId"], "stage": each["stage"]} for each in shared["apiStages"]
            ],
            "throttle": shared.get("throttle"),
            "quota": shared.get("quota"),
            **rate_limits,
        }
        given: Any = {name: value for name, value in settings.items() if value}
        return self._gateway.create_usage_plan(name=name, **given)["id"]

    def _delete_plan(self, plan_id: str) -> None:
        """Delete a client's own plan, if it exists; never the shared one."""
        if plan_id == self._shared_plan:
            return
        with suppress(self._gateway.exceptions.NotFoundException):
            for stage in self.plan(plan_id).get("apiStages", []):  # else it cannot be deleted
                value = f"{stage['apiId']}:{stage['stage']}"
                self._gateway.update_usage_plan(
                    usagePlanId=plan_id,
                    patchOperations=[{"op": "remove", "path": "/apiStages", "value": value}],
                )
            self._gateway.delete_usage_plan(usagePlanId=plan_id)
