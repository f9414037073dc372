"""A client's key is replaced while its client goes on calling."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.support.scripted_provider import wait_until

if TYPE_CHECKING:
    from tests.cli.conftest import Office


def test_the_old_key_works_through_the_overlap_and_dies_with_it(office: Office) -> None:
    old = office.quiet("keys", "create", "rotating", "--rps", "1000", "--quiet")
    assert office.status(old) == 200
    new = office.quiet("keys", "rotate", "rotating", "--overlap", "1h", "--quiet")
    assert new != old
    assert {office.status(key) for _ in range(3) for key in (old, new)} == {200}
    let_overlap_pass(office)
    wait_until(lambda: office.status(old) == 401)  # the gateway keeps the authorizer's word a while
    assert office.status(new) == 200
    serials = office.item("rotating")["keys"]["M"]
    assert serials["0001"]["M"]["key_id"]["S"] in office.relay("keys", "prune").stderr


def let_overlap_pass(office: Office) -> None:
    """Move the end of the old key from the future to this second, which the stack sees pass."""
    item = office.item("rotating")
    office.stack.aws("dynamodb").update_item(
        TableName=office.stack.template.ref("ClientsTable"),
        Key={name: item[name] for name in ("pk", "sk")},
        UpdateExpression="SET #k.#s.dies_at = :now",
        ExpressionAttributeNames={"#k": "keys", "#s": "0001"},
        ExpressionAttributeValues={":now": {"N": str(int(time.time()))}},
    )


def test_a_revoked_key_dies_at_once_although_the_authorizer_is_remembered(office: Office) -> None:
    key = office.quiet("keys", "create", "revoked-now", "--quiet")
    assert office.status(key) == 200
    office.quiet("keys", "revoke", "revoked-now", "--yes")
    assert office.status(key) == 401
