"""A client's key is replaced while its client goes on calling."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.cli.conftest import TTL_SECONDS

if TYPE_CHECKING:
    from tests.cli.conftest import Office

OVERLAP_SECONDS = 3
SLACK_SECONDS = 1.0  # for what the authorizer said just before the end and the gateway kept since


def test_the_old_key_works_through_the_overlap_and_dies_with_it(office: Office) -> None:
    old = office.quiet("keys", "create", "rotating", "--rps", "1000", "--quiet")
    assert office.status(old) == 200
    new = office.quiet("keys", "rotate", "rotating", "--overlap", f"{OVERLAP_SECONDS}s", "--quiet")
    assert new != old
    serials = office.item("rotating")["keys"]["M"]
    dies_at = int(serials["0001"]["M"]["dies_at"]["N"])
    answers: list[tuple[float, float, int, int]] = []
    began, dead = 0.0, dies_at + TTL_SECONDS + SLACK_SECONDS
    while began < dead:
        began = time.time()
        statuses = office.status(old), office.status(new)
        answers.append((began, time.time(), *statuses))
        time.sleep(0.1)
    assert {new_status for *_, new_status in answers} == {200}
    # The life of a key is told in whole seconds.
    assert {old_status for _, ended, old_status, _ in answers if ended < dies_at} == {200}
    assert {old_status for began, _, old_status, _ in answers if began >= dead} == {401}
    assert serials["0001"]["M"]["key_id"]["S"] in office.relay("keys", "prune").stderr


def test_a_revoked_key_dies_at_once_although_the_authorizer_is_remembered(office: Office) -> None:
    key = office.quiet("keys", "create", "revoked-now", "--quiet")
    assert office.status(key) == 200
    office.quiet("keys", "revoke", "revoked-now", "--yes")
    assert office.status(key) == 401
