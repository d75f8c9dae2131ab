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


def test_digests_are_remembered_of_the_latest_messages_of_all_chains_and_of_each_last_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("worker.evidence.seen_chain.MOST_REMEMBERED", 5)
    many = [bodies(4, ends=False) for _ in range(9)]
    said = [one for each in many for one in each]
    again = [each[-1] for each in many]
    assert verified([*said, *again])[1] == []
    for place, replaced in ((-1, len(many)), (2, 1)):  # of the last chain, and of no older one
        others = [_head(each[place])._replace(heading="f" * 64) for each in many]
        assert verified([*said, *_anchor(*others)])[1] == [FindingCode.REPLACED] * replaced


def test_gaps_are_bounded_and_each_chain_with_some_has_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("worker.evidence.seen_chain.MOST_GAPS", 6)
    holed = [[one for one in bodies(8) if place_of(one) in (0, 2, 4, 6, 8)] for _ in range(5)]
    verification, _ = verified([one for each in holed for one in each])
    missing = [one.detail for one in verification.conclude(START_MS)]
    each_one = [f"missing: {number}" for number in (1, 3, 5, 7)]
    assert len(missing) == 4 + 2 + 1 + 1 + 1
    assert missing.count("missing: 1 to 7") == 3
    assert {*each_one, "missing: 3 to 7"} <= {*missing}


def test_many_messages_with_one_number_are_no_burden() -> None:
    said = bodies(2, b"")
    twins = [said[1].replace(b'"at":1', b'"at":%d' % number, 1) for number in range(2, 99)]
    _, found = verified([*said, *twins], ())
    assert found == [FindingCode.INSERTED] * len(twins)


def test_junk_in_front_hides_no_manipulation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.evidence.verification.MOST_UNCHECKED_CHAINS", 2)
    monkeypatch.setattr("worker.evidence.verification.MOST_CHAINS", 4)
    monkeypatch.setattr("worker.evidence.verification.MOST_FINDINGS", 3)
    chains = [one for _ in range(9) for one in bodies(1, b"")]
    stream = [*([b"junk"] * 9), *chains, *bodies(5), *_removed(bodies(9))]
    assert FindingCode.REMOVED in verified(stream)[1]
    stream = [*([b"junk"] * 9), *chains, *bodies(5), *_anchor(_head(bodies(9)[-1]))]
    assert FindingCode.CUT in verified(stream)[1]
    stream = [*([b"junk"] * 9), *bodies(5), *_after_its_end([])]
    assert FindingCode.AFTER_END in verified(stream)[1]


def test_who_writes_the_stream_anew_can_not_choose_its_age() -> None:
    recent = bodies(30, start_ms=START_MS + 7_200_000)
    old, victim = bodies(9), bodies(9, start_ms=START_MS + 3_600_000, ends=False)
    whole = [*old, *victim]
    beheaded = [*old, *victim[3:]]
    seen = _anchor(_head(victim[-1]))
    for first_offset in (0, 7):
        assert verified([b"junk", *recent, *whole], first_offset=first_offset)[1] == [
            FindingCode.UNREADABLE
        ]
        found = verified([b"junk", *recent, *beheaded], first_offset=first_offset)[1]
        assert FindingCode.HEADLESS in found
        found = verified([b"junk", *recent, *old, *seen], first_offset=first_offset)[1]
        assert FindingCode.CUT in found
        found = verified([*victim[3:], *old], first_offset=first_offset)[1]
        assert FindingCode.HEADLESS in found, "the oldest does not stand first"


def test_a_clock_far_ahead_blinds_nobody_to_what_comes_after() -> None:
    ahead = bodies(9, start_ms=START_MS + 10 * 86_400_000)
    late = bodies(9, start_ms=START_MS + 3_600_000)
    assert FindingCode.HEADLESS in verified([*ahead, *bodies(9), *late[4:]], first_offset=7)[1]


def test_an_unsigned_message_from_long_ago_makes_nothing_seem_cut() -> None:
    ancient, said = bodies(5, b"", start_ms=0), bodies(30)
    assert verified([*ancient, *said[5:]], first_offset=7)[1] == []


def test_after_a_truncation_a_message_that_waited_for_hours_makes_no_other_chain_headless() -> None:
    """A process that is cut off writes the one message that it has in hand when it is back."""
    waited = bodies(20, start_ms=START_MS - 7_200_000)[5]
    going_on = Chain("host:1", SECRET)
    going_on.id = read_message(waited).heading.chain
    for _ in range(6):
        going_on.message("begin", (), 0)
    going_on._previous = line_digest(read_message(waited).line)
    back = [going_on.message("state", (), START_MS + 1000 * number) for number in range(5)]
    others = bodies(30)[9:]
    for stream in ([waited, *back, *others], [*others, waited, *back], [waited, waited, *others]):
        found = verified(stream, first_offset=7)[1]
        assert not any(one.is_manipulation for one in found)
    anchored = _anchor(_head(others[0]))
    assert verified([*anchored, waited, *back, *others], first_offset=7)[1] == []


def test_a_long_chain_with_every_other_message_gone_is_one_of_many_gaps() -> None:
    said = bodies(400)
    kept = [one for one in said if place_of(one) % 2 == 0 or place_of(one) == 0]
    assert FindingCode.REMOVED in verified(kept)[1]
