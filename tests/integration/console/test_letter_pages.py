"""Dead letters in the console: seen, understood, replayed, discarded, revealed, and on record."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from yarl import URL

from devtools.proxy import TcpProxy, through
from devtools.waiting import wait_until
from tests.integration.console.letter_parts import (
    PERSON,
    LetterStack,
    are_over,
    letter_stack,
)
from tests.unit.console.console_parts import REVEALER, VIEWER
from worker.evidence.act import read_act
from worker.ledger.letter_group_list import letter_groups
from worker.ledger.schema import ACTS

PLANTED = (PERSON, "crm-0815-4711", "northwind.example")


@pytest.fixture
async def stack(broker_url: str, namespace: str, tmp_path: Path) -> AsyncIterator[LetterStack]:
    async with letter_stack(broker_url, namespace, tmp_path) as running:
        yield running


def _group(page: str) -> str:
    return str(re.findall(r"/dead-letters/groups/([0-9a-f]{8})", page)[0])


async def test_a_viewer_sees_groups_and_letters_and_can_do_nothing(
    broker_url: str, namespace: str, tmp_path: Path
) -> None:
    async with letter_stack(broker_url, namespace, tmp_path, VIEWER) as stack:
        assert "No dead letters." in await stack.page("/dead-letters")
        await stack.tell(*(stack.fate(n) for n in range(3)))
        await stack.bury(0, 1, 2)
        await stack.bury(7, consent_integration="press", consent_error="adobe-rejected")
        # What stands there already is fresh enough for a while.
        stack.console.clock.moved_ms = 60_000
        page = await stack.page("/dead-letters")
        assert "4 dead letters in 2 groups" in page
        assert "1 of them withdraws consent" in page
        assert "Look at Adobe&#39;s status page. Replay when Adobe is back." in page
        group = _group(page)
        letters = await stack.page(f"/dead-letters/groups/{group}")
        assert letters.count("/dead-letters/letters/letter-") == 3
        assert "a replay would be sent" in letters
        withdrawn = await stack.page(f"/dead-letters/groups/{group}?kind=withdrawn")
        assert withdrawn.count("/dead-letters/letters/letter-") == 1
        letter = await stack.page("/dead-letters/letters/letter-1")
        assert "••••@••••.•• (e-mail)" in letter
        assert "&#34;id&#34;: &#34;newsletter&#34;" in letter
        for text in (page, letters, letter):
            assert not [one for one in PLANTED if one in text]
            assert "/preview/" not in text, "nothing to click that is refused"
            assert "Replay and discard need an operator\u2019s key." in text
        for path in (
            "/dead-letters/preview/replay",
            f"/dead-letters/preview/discard?group={group}",
        ):
            refused = await stack.console.get(path)
            assert refused.status == 403
            assert "This needs the operator\u2019s key; yours is the viewer\u2019s." in refused.text
        for path in ("/dead-letters/acts", "/dead-letters/letters/letter-1/reveal"):
            assert (await stack.post(path, {"why": "for a test"})).status == 403
        await stack.wait_for_depth("dead-letters", 4)


async def test_a_group_is_replayed_by_canaries_and_its_fate_is_seen(stack: LetterStack) -> None:
    newer = stack.fate(90, "delivered", user=stack.fate(0).user, event_at=stack.at_ms)
    await stack.tell(*(stack.fate(n) for n in range(6)), newer)
    await stack.bury(*range(6))
    await stack.bury(7, consent_integration="press")
    group = _group(await stack.page("/dead-letters?integration=shop"))
    preview = f"/dead-letters/preview/replay?group={group}"
    page = await stack.page(preview)
    assert "Replay 6 letters?" in page
    assert f'<a href="/dead-letters/groups/{group}">group {group}</a> / replay' in page
    half = {"ticket": await stack.ticket(preview), "canaries": "1.5"}
    answer = await stack.post("/dead-letters/acts", half)
    assert (answer.status, "canaries is a whole number" in answer.text) == (400, True)
    counted = re.findall(r'<td class="num">(\d+)</td><td class="num">(\d+)</td>', page)
    assert counted == [("4", "2"), ("2", "1"), ("0", "0"), ("0", "0"), ("6", "3")]
    assert f"consent-worker dead-letters replay --group {group}" in page
    act = await stack.begin(preview, canaries="2", wait="300", why="incident 4711")
    await stack.wait_for_depth("retries", 2)
    page = await stack.wait_for(act, "The canaries are on their way.")
    assert "0 of 6" not in page
    # These are the canaries: withdrawals that receipts know nothing newer of; and they arrive.
    await stack.tell(*(stack.fate(n, "delivered", delivery=1) for n in (3, 5)))
    page = await stack.wait_for(act, "Replayed 6 letters")
    assert "2 sent, none died again" in page
    assert await stack.depth("retries") == 6
    await stack.wait_for_depth("dead-letters", 1)  # another group stays
    late = [stack.fate(n, "skipped", delivery=1, reason="superseded") for n in (0, 1)]
    await stack.tell(*late, *(stack.fate(n, "dead", delivery=1) for n in (2, 4)))
    page = await stack.wait_for(act, "2 delivered, 2 not needed; 2 died again")
    lives = re.findall("/lives/[0-9a-f]{32}", page)
    assert len(lives) == 6, "each can be proved"
    for one in lives:
        assert "Replay" in await stack.page(one)
    assert "not needed: Adobe has a newer choice of the person</span><b>2</b>" in page
    stack.console.clock.moved_ms = 20_000  # what was seen a moment ago is no longer fresh
    page = await stack.wait_for(act, "None like these is there any more.")
    await stack.bury(9, consent_dead_at=int(time.time() * 1000) + 30_000)
    stack.console.clock.moved_ms = 40_000
    await stack.wait_for(act, "1 new letter like these has come since this began")
    (told,) = await stack.trail(1, lambda acts: "dead" in (acts[0].ended or acts[0].begun).counts)
    assert told.result == "done; 2 died again"
    assert (told.name, told.why, told.role) == ("replayed", "incident 4711", "operator")
    assert told.counts["letters"] == told.counts["replayed"] == 6
    assert told.counts["withdrawals"] == 3
    stack.console.forget()
    trail = await stack.page("/trail")
    assert "incident 4711" in trail
    assert f"group {group}" in trail


async def test_a_form_that_is_sent_twice_and_a_second_operator_do_nothing_more(
    stack: LetterStack,
) -> None:
    await stack.bury(*range(8))
    preview = "/dead-letters/preview/replay?integration=shop"
    first, second = await stack.ticket(preview), await stack.ticket(preview)
    form = {"ticket": first, "rate": "1", "canaries": "0"}
    begun = await stack.post("/dead-letters/acts", form)
    again = await stack.post("/dead-letters/acts", form)
    assert begun.status == again.status == 303
    assert begun.way == again.way
    other = await stack.post("/dead-letters/acts", form | {"ticket": second})
    assert other.status == 409
    assert "nothing else was begun" in other.text
    assert (await stack.console.get(preview)).status == 409
    await wait_until(lambda: _handled(stack, begun.way) > 0, "one is replayed")
    assert "Replaying" in await stack.page(begun.way)
    await stack.post(f"{begun.way}/stop")
    page = await stack.wait_for(begun.way, "Stopped at")
    left = await stack.depth("dead-letters")
    assert left + await stack.depth("retries") == 8
    assert 0 < left < 8
    assert f"Stopped at {8 - left} of 8" in page
    # What the other had previewed is good still.
    assert (await stack.post("/dead-letters/acts", {"ticket": second})).status == 303
    await stack.wait_for_depth("dead-letters", 0)
    assert "by <bdi>operator</bdi>" in page.partition("<dt>Stopped</dt>")[2]
    later, stopped = await stack.trail(2, are_over)
    assert (later.result, stopped.result) == ("done", "stopped by operator")


async def test_nothing_selected_does_not_mean_all_and_some_mean_these(stack: LetterStack) -> None:
    await stack.tell(*(stack.fate(n) for n in range(5)))
    await stack.bury(*range(5))
    page = await stack.page("/dead-letters/preview/discard?selection=1")
    assert "No letter is selected." in page
    chosen = "/dead-letters/preview/discard?selection=1&id=letter-1&id=letter-3"
    assert "Discard 2 letters, for good?" in await stack.page(chosen)
    for typed in ("", "3", "two"):
        form = {"ticket": await stack.ticket(chosen), "typed": typed}
        answer = await stack.post("/dead-letters/acts", form)
        assert (answer.status, "nothing was discarded" in answer.text) == (400, True)
    act = await stack.begin(chosen, typed="2", why="sent again by the producer")
    await stack.wait_for(act, "Discarded 2 letters.")
    await stack.wait_for_depth("dead-letters", 3)
    assert "No letter is meant any more." in await stack.page(chosen)
    assert (await stack.console.get("/dead-letters/letters/letter-1")).status == 404
    (told,) = await stack.trail(1, are_over)
    assert (told.name, told.counts["discarded"]) == ("discarded", 2)
    rows = [read_act(row.row) for row in stack.ledger.rows(ACTS)]
    assert [one.stage for one in rows] == ["begun", "going", "part", "ended"]
    assert set(rows[1].lives) == set(rows[2].lives), "named before they go, and when they are gone"
    with stack.ledger.transaction() as connection:
        assert sum(one.letters for one in letter_groups(connection)) == 3, (
            "the ledger knows it, too"
        )


async def test_the_advised_act_is_the_first_one(stack: LetterStack) -> None:
    await stack.bury(1, consent_dead_reason="invalid-json", consent_error="invalid-json")
    await stack.bury(2)
    discard, replay = (
        'btn primary" data-pick="Discard"',
        'btn primary" data-key="r" data-pick="Replay"',
    )
    for path, first in (
        ("/dead-letters/letters/letter-1", discard),
        ("/dead-letters/letters/letter-2", replay),
        ("/dead-letters/letters?reason=invalid-json", discard),
        ("/dead-letters/letters?reason=retries-exhausted", replay),
    ):
        page = await stack.page(path)
        assert page.count("btn primary") == 1, path
        assert first in page, path
    mixed = await stack.page("/dead-letters/letters")
    assert "btn primary" not in mixed, "what helps one does not help the other"
    assert "Replay all 2…" in mixed


async def test_a_life_advises_what_its_letter_does(stack: LetterStack) -> None:
    newer = stack.fate(90, "delivered", user=stack.fate(0).user, event_at=stack.at_ms)
    await stack.tell(stack.fate(0), stack.fate(2), newer)
    await stack.bury(0, 2)
    await stack.page("/dead-letters/letters")
    for letter, act, is_needless in (("letter-0", "Discard", True), ("letter-2", "Replay", False)):
        page = await stack.page(f"/dead-letters/letters/{letter}")
        life = re.findall("/lives/[0-9a-f]{32}", page)[0]
        said = await stack.page(life)
        assert ("Adobe already has a newer choice of this person" in said) == is_needless
        (first,) = re.findall('class="btn primary"[^>]* data-pick="([A-Za-z]+)"', said)
        assert first == act, letter


async def test_a_failing_integration_is_told_above_the_button(stack: LetterStack) -> None:
    await stack.bury(1)
    await stack.live(state="failing", words="Service Unavailable")
    page = await stack.wait_for("/dead-letters/preview/replay", "shop</bdi> is failing now.")
    assert page.index("is failing now.") < page.index('<button class="primary"')
    assert "Why (optional)" in page


async def test_letters_of_an_unknown_choice_are_a_filter(stack: LetterStack) -> None:
    await stack.tell(stack.fate(1), stack.fate(2))
    await stack.bury(1, 2, 3)
    page = await stack.page("/dead-letters")
    for word, count in (("withdrawn", 1), ("given", 1), ("not known", 1)):
        assert f"<bdi>{word}</bdi> <b>{count}</b>" in page
    assert "count 2: events, by receipts" in page
    assert 'id="letters-there">3</span>' in page, "the navigation says what the page says"
    unknown = await stack.page("/dead-letters/letters?kind=unknown")
    assert re.findall("/dead-letters/letters/(letter-[0-9])", unknown) == ["letter-3"]


async def test_letters_of_a_lost_state_stay_unless_somebody_says_otherwise(
    stack: LetterStack,
) -> None:
    await stack.bury(1, consent_epoch="a" * 16)
    await stack.bury(2)
    preview = "/dead-letters/preview/replay"
    page = await stack.page(preview)
    assert "1 of them is from before the workers lost their state" in page
    assert 'name="after_state_loss"' in page
    page = await stack.wait_for(await stack.begin(preview), "Replayed 1 letter")
    assert "1 of before the state was lost" in page
    await stack.wait_for_depth("dead-letters", 1)
    act = await stack.begin(preview, after_state_loss="yes")
    await stack.wait_for(act, "Replayed 1 letter")
    await stack.wait_for_depth("dead-letters", 0)


_SCRIPT = "<script>alert(1)</script>"


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"no json at all", {}),
        (b"", {"consent-dead-reason": "x" * 60_000}),
        (b'{"' + b"x" * 200_000 + b'": "' + b"y" * 200_000 + b'"}', {}),
        (b"[" * 900 + b"]" * 900, {}),
        (_SCRIPT.encode(), {"consent-integration": _SCRIPT, "consent-error": _SCRIPT}),
        (b'{"type": "\\u202e' + _SCRIPT.encode() + b'"}', {"consent-error-detail": _SCRIPT}),
        (b"\xff\xfe", {"consent-attempts": "many", "consent-dead-at": -1}),
        (b"{}", {"consent-dead-at": 2**62, "consent-replays": 2**40, "consent-bundle": 3}),
    ],
)
async def test_whatever_a_letter_is_made_of_it_is_shown_as_text_and_can_be_discarded(
    stack: LetterStack, body: bytes, headers: dict[str, Any]
) -> None:
    await stack.bury(1, body=body, **headers)
    pages = [await stack.page("/dead-letters"), await stack.page("/dead-letters/letters")]
    (way,) = set(re.findall('/dead-letters/letters/[^"?]+', pages[1]))
    pages += [await stack.page(way), await stack.page(f"/dead-letters/groups/{_group(pages[0])}")]
    for page in pages:
        assert "<script>alert" not in page
        assert "\u202e" not in page
        assert len(page) < 30_000
    preview = f"/dead-letters/preview/discard?id={way.rpartition('/')[2]}"
    act = await stack.begin(preview, typed="1")
    await stack.wait_for(act, "Discarded 1 letter.")
    await stack.wait_for_depth("dead-letters", 0)


async def test_a_detail_that_somebody_forged_is_masked_and_none_of_adobes_words(
    stack: LetterStack,
) -> None:
    forged = f"lena@northwind.example {_SCRIPT}"
    await stack.bury(1, like_workers=True, consent_error_detail=forged)
    await stack.bury(2, like_workers=True, consent_error_detail="HTTP 503: Service Unavailable")
    page = await stack.page(f"/dead-letters/letters/{1:032x}")
    assert "<dt>Detail</dt><dd><bdi>&lt;email&gt; &lt;script&gt;" in page
    assert "lena@" not in page
    page = await stack.page(f"/dead-letters/letters/{2:032x}")
    assert "<q><bdi>HTTP 503: Service Unavailable</bdi></q>" in page


@pytest.mark.parametrize(
    "form",
    [
        {"canaries": "-1"},
        {"canaries": "9999"},
        {"rate": "0"},
        {"rate": "nan"},
        {"wait": "7200"},
        {"why": "x" * 201},
    ],
)
async def test_an_option_out_of_bounds_begins_nothing(
    stack: LetterStack, form: dict[str, str]
) -> None:
    await stack.bury(1)
    ticket = await stack.ticket("/dead-letters/preview/replay")
    answer = await stack.post("/dead-letters/acts", {"ticket": ticket} | form)
    assert answer.status == 400
    assert "Nothing was done." in answer.text
    await stack.wait_for_depth("dead-letters", 1)


async def test_a_body_is_revealed_once_for_a_reason_and_leaves_a_line(
    broker_url: str, namespace: str, tmp_path: Path
) -> None:
    async with letter_stack(broker_url, namespace, tmp_path, REVEALER) as stack:
        await stack.bury(1)
        path = "/dead-letters/letters/letter-1"
        ticket = await stack.ticket(path)
        unsaid = await stack.post(f"{path}/reveal", {"ticket": ticket, "why": " "})
        assert (unsaid.status, PERSON in unsaid.text) == (400, False)
        form = {"ticket": ticket, "why": f"request 118 of {PERSON}"}
        shown = await stack.post(f"{path}/reveal", form)
        assert shown.status == 200
        assert PERSON in shown.text
        assert shown.headers["Cache-Control"] == "no-store"
        again = await stack.post(f"{path}/reveal", form)
        assert (again.status, PERSON in again.text) == (409, False)
        (told,) = await stack.trail(1, are_over)
        assert (told.name, told.role, told.about) == ("revealed", "revealer", "letter letter-1")
        assert told.why == "request 118 of <email>"
        assert PERSON not in await stack.page("/trail")
        # Without a line in the trail nothing is shown.
        ticket = await stack.ticket(path)
        await stack.delete_stream()
        refused = await stack.post(f"{path}/reveal", {"ticket": ticket, "why": "request 119"})
        assert (refused.status, PERSON in refused.text) == (503, False)
        assert "the trail can&#39;t be written" in refused.text
        await stack.wait_for_depth("dead-letters", 1)


async def test_without_the_trail_nothing_is_replayed(stack: LetterStack) -> None:
    await stack.bury(1)
    await stack.delete_stream()
    act = await stack.begin("/dead-letters/preview/replay")
    page = await stack.wait_for(act, "The replay has ended at 0 of 1.")
    assert "there is no stream" in page
    await stack.wait_for_depth("dead-letters", 1)


async def test_a_broker_that_goes_away_shows_how_far_it_came_and_is_gone_on_with(
    broker_url: str, namespace: str, tmp_path: Path
) -> None:
    url = URL(broker_url)
    async with (
        TcpProxy(url.host or "", url.port or 5672) as proxy,
        letter_stack(
            broker_url, namespace, tmp_path, by_way_of=through(broker_url, proxy.port)
        ) as stack,
    ):
        await stack.bury(*range(40))
        act = await stack.begin("/dead-letters/preview/replay", rate="15", canaries="0")
        await stack.wait_for(act, "Replaying")
        await wait_until(lambda: _handled(stack, act) > 3, "some are replayed")
        proxy.cut()
        page = await stack.wait_for(act, "The broker is away")
        waits_at = re.search(r"waits at (\d+) of 40", page)
        assert waits_at is not None
        assert 3 < int(waits_at[1]) < 40
        assert (await stack.console.get("/dead-letters")).status == 200, "reading works"
        proxy.restore()
        await stack.post(f"{act}/go-on")
        await stack.wait_for(act, "Replaying")
        await stack.wait_for(act, "Replayed ")
        await stack.wait_for_depth("dead-letters", 0)
        replayed = await stack.depth("retries")
        assert 40 <= replayed <= 42, "what was in doubt may be there twice, and nothing is lost"


def _handled(stack: LetterStack, act: str) -> int:
    run = stack.console.letters.acts.find(act.rpartition("/")[2])
    assert run is not None
    return run.act.handled
