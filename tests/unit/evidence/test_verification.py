"""Each kind of manipulation is found, and what crashes and retention do is none."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.evidence.chains import SECRET, START_MS, bodies, place_of, verified
from worker.evidence.anchors import Head, encode_head
from worker.evidence.chain import Chain
from worker.evidence.findings import Finding, FindingCode
from worker.evidence.heading import line_digest, read_message, row_digest
from worker.evidence.signing import Keyring
from worker.evidence.verification import SILENT_MS, Verification

LATER_MS = START_MS + 1000 * 3600


@pytest.mark.parametrize("secret", [SECRET, b""])
def test_a_chain_as_it_was_written_has_no_finding(secret: bytes) -> None:
    verification, found = verified(bodies(20, secret), now_ms=LATER_MS)
    assert found == []
    assert (verification.messages, verification.rows, verification.chains) == (22, 40, 1)
    assert verification.unsigned == (0 if secret else 22)


def test_what_was_written_twice_for_want_of_a_confirm_is_harmless() -> None:
    said = bodies(5)
    assert verified([*said[:4], said[3], *said[4:]])[1] == []
    assert verified([*said, said[-1]])[1] == []


def test_chains_of_several_workers_may_be_mixed() -> None:
    mixed = [one for pair in zip(bodies(9), bodies(9), strict=True) for one in pair]
    assert verified(mixed, now_ms=LATER_MS)[1] == []


def _changed_row(said: list[bytes]) -> list[bytes]:
    return [*said[:3], said[3].replace(b'"withdrawn"', b'"given"', 1), *said[4:]]


def _removed_row(said: list[bytes]) -> list[bytes]:
    return [*said[:3], said[3].rpartition(b"\n")[0], *said[4:]]


def _changed_heading(said: list[bytes]) -> list[bytes]:
    return [*said[:3], said[3].replace(b'"host:1"', b'"host:2"', 1), *said[4:]]


def _removed(said: list[bytes]) -> list[bytes]:
    return [*said[:3], *said[5:]]


def _moved(said: list[bytes]) -> list[bytes]:
    return [*said[:3], said[4], said[3], *said[5:]]


def _inserted(said: list[bytes]) -> list[bytes]:
    other = Chain("host:1", b"")
    other.id = read_message(said[0]).heading.chain
    for _ in range(4):
        forged = other.message("receipts", [b"{}"], START_MS)
    return [*said[:4], forged, *said[4:]]


def _beheaded(said: list[bytes]) -> list[bytes]:
    return said[2:]


def _after_its_end(said: list[bytes]) -> list[bytes]:
    chain = Chain("host:1", SECRET)
    return [chain.message("begin", (), 1), chain.message("end", (), 1), chain.message("end", (), 2)]


@pytest.mark.parametrize("secret", [SECRET, b""])
@pytest.mark.parametrize(
    ("plant", "code"),
    [
        (_changed_row, FindingCode.CHANGED),
        (_removed_row, FindingCode.CHANGED),
        (_removed, FindingCode.REMOVED),
        (_moved, FindingCode.REORDERED),
        (_beheaded, FindingCode.HEADLESS),
        (_after_its_end, FindingCode.AFTER_END),
    ],
)
def test_a_manipulation_is_found_and_named(
    plant: Callable[[list[bytes]], list[bytes]], code: FindingCode, secret: bytes
) -> None:
    verification = Verification(Keyring([SECRET] if secret else []))
    for offset, body in enumerate(plant(bodies(9, secret))):
        verification.see(offset, body)
    found = verification.conclude(START_MS)
    assert code in [one.code for one in found]
    assert code.is_manipulation
    assert code.sentence.endswith(".")
    assert all(len(one.chain) == 32 and one.worker == "host:1" for one in found)


def test_where_messages_were_removed_it_says_which() -> None:
    said = bodies(9)
    verification, _ = verified(_removed(said))
    chain = read_message(said[0]).heading.chain
    expected = Finding(FindingCode.REMOVED, chain, 5, -1, "host:1", "missing: 3 to 4")
    assert verification.conclude(START_MS) == [expected]
    assert verified([*said[:3], *said[4:]])[0].conclude(START_MS)[0].detail == "missing: 3"


@pytest.mark.parametrize(
    ("secrets", "code"),
    [((SECRET,), FindingCode.FORGED), ((), FindingCode.RELINKED)],
)
def test_a_heading_that_was_changed_breaks_its_signature_or_the_link_to_it(
    secrets: tuple[bytes, ...], code: FindingCode
) -> None:
    assert code in verified(_changed_heading(bodies(9)), secrets)[1]


def test_a_message_that_was_put_in_is_foreign_or_one_too_many() -> None:
    assert verified(_inserted(bodies(9)))[1] == [FindingCode.FOREIGN]
    # Without signatures nobody can say which of the two is the real one, only that there are two.
    assert verified(_inserted(bodies(9, b"")), ())[1] == [FindingCode.INSERTED]


def test_a_forged_message_says_nothing_of_the_places_of_the_others() -> None:
    said = bodies(9)
    wrong = read_message(said[4]).heading.mac.encode()
    forged = said[4].replace(wrong, b"0" * 64)
    assert verified([*said[:4], forged, *said[4:]])[1] == [FindingCode.FORGED]


def test_a_chain_with_another_signature_is_foreign_once_signed_ones_were_there() -> None:
    unsigned_chain, signed, strange = bodies(2, b""), bodies(2), bodies(2, b"another secret")
    assert verified([*unsigned_chain, *signed])[1] == []
    assert set(verified([*signed, *unsigned_chain])[1]) == {FindingCode.FOREIGN}
    assert set(verified([*signed, *strange])[1]) == {FindingCode.FOREIGN}
    assert verified([*signed, *strange], (SECRET, b"another secret"))[1] == []
    verification, found = verified([*signed, *strange], ())
    assert found == []
    assert verification.unchecked == 8


def test_a_beginning_that_fell_with_the_stream_is_right() -> None:
    said = bodies(20)
    assert verified(said[5:], first_offset=5)[1] == []
    late = bodies(400)
    assert verified([*said, *late[390:]], first_offset=5)[1] == [FindingCode.HEADLESS]


def test_what_ends_without_an_end_is_said_and_is_no_manipulation() -> None:
    said = bodies(3, ends=False)
    assert verified(said, now_ms=START_MS + SILENT_MS)[1] == []
    assert verified(said, now_ms=LATER_MS)[1] == [FindingCode.ENDED_WITHOUT_END]
    assert not FindingCode.ENDED_WITHOUT_END.is_manipulation


def _anchor(*heads: Head) -> list[bytes]:
    chain = Chain("ledger:1", SECRET)
    begin = chain.message("begin", (), START_MS)
    return [begin, chain.message("anchor", [encode_head(one) for one in heads], START_MS + 5000)]


def _head(body: bytes) -> Head:
    heading, line, _ = read_message(body)
    return Head(heading.chain, heading.sequence, line_digest(line), heading.at)


def test_a_chain_that_was_cut_is_found_by_an_anchor() -> None:
    said = bodies(9, ends=False)
    anchor = _anchor(_head(said[-1]))
    assert verified([*said, *anchor])[1] == []
    assert verified([*said[:-3], *anchor])[1] == [FindingCode.CUT]
    assert verified(anchor)[1] == [FindingCode.CUT]
    assert verified(anchor, first_offset=7)[1] == [], "it may be older than the stream"
    other = [*bodies(9, ends=False)]
    replaced = _head(said[-1])._replace(heading=_head(other[-1]).heading)
    assert verified([*said, *_anchor(replaced)])[1] == [FindingCode.REPLACED]


def test_rows_may_be_blanked_as_long_as_their_digests_are_kept() -> None:
    verification = Verification(Keyring([SECRET]))
    for offset, body in enumerate(bodies(5)):
        heading, line, rows = read_message(body)
        assert verification.take(offset, heading, line, [row_digest(row) for row in rows])
    assert verification.conclude(LATER_MS) == []


def test_what_can_not_be_read_is_counted_and_told_once_each() -> None:
    said = bodies(3)
    verification, found = verified([b"nonsense", *said, b"\x00" * 100])
    assert found == [FindingCode.UNREADABLE] * 2
    assert verification.unreadable == 2
    assert not FindingCode.UNREADABLE.is_manipulation


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.evidence.verification.MOST_CHAINS", 3)
    monkeypatch.setattr("worker.evidence.verification.MOST_FINDINGS", 2)
    verification, found = verified([one for _ in range(5) for one in bodies(1)])
    assert (verification.chains, verification.unplaced, found) == (3, 6, [])
    verification, found = verified([b"x"] * 5)
    assert (len(found), verification.more_findings) == (2, 3)


def test_a_long_chain_with_every_other_message_gone_is_one_of_many_gaps() -> None:
    said = bodies(400)
    kept = [one for one in said if place_of(one) % 2 == 0 or place_of(one) == 0]
    assert FindingCode.REMOVED in verified(kept)[1]
