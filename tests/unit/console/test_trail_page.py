"""The trail: who did what, whether it verifies, and the file for an auditor."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from tests.unit.cli.conftest import NOBODY
from tests.unit.console.console_parts import OPERATOR, RunningConsole, running_console
from tests.unit.console.test_pages import words_of
from tests.unit.ledger.ledger_file import LedgerFile
from tests.unit.ledger.made_acts import made_act, put_on_record
from worker.console.days import NoSuchDays, days_in
from worker.evidence.exported_file import verify_file
from worker.evidence.signing import Keyring
from worker.ledger.schema import ACTS

SECRET = b"of the operators"


@pytest.fixture
async def console(tmp_path: Path, ledger: LedgerFile) -> AsyncIterator[RunningConsole]:
    """A command's replay has ended, and its discard was killed after 300 letters."""
    replay = made_act(1, name="replayed", who="dora", about="group 3f9a01c2")
    ended = replay._replace(stage="ended", counts={"letters": 9, "replayed": 9}, result="done")
    put_on_record(ledger, replay, secret=SECRET)
    put_on_record(ledger, ended, secret=SECRET)
    discard = made_act(2)
    put_on_record(ledger, discard, secret=SECRET)
    counts = {"discarded": 300, "going": 280}
    going = discard._replace(stage="going", counts=counts, lives=("0" * 32,))
    put_on_record(ledger, discard._replace(stage="part", lives=("1" * 32,)), going, secret=SECRET)
    secret, nobody = SecretStr(SECRET.decode()), SecretStr(NOBODY)
    async with running_console(tmp_path, receipts_secret=secret, amqp_url=nobody) as running:
        yield running


async def test_acts_of_commands_stand_there_also_one_that_was_killed(
    console: RunningConsole,
) -> None:
    await console.sign_in()
    said = words_of((await console.get("/trail")).text)
    assert "2 acts, chained as all receipts" in said
    assert "An act is one message or more in the stream of the receipts" in said
    assert "signed, whole and as they were written" in said
    assert '<p class="sub"><span class="good">' in (await console.get("/trail")).text
    assert re.search("dora command replayed 9 letters: group 3f9a01c2", said)
    assert "9 replayed, done" in said
    killed = "no end is on record: it runs still, or was killed. 300 letters are gone for good, 280"
    assert killed in said
    assert "File for an auditor" not in said, "nothing to click that is refused"
    assert (await console.get("/trail/acts.jsonl")).status == 403


async def test_what_is_not_signed_is_no_green_tick(tmp_path: Path, ledger: LedgerFile) -> None:
    put_on_record(ledger, made_act(1))
    async with running_console(tmp_path, amqp_url=SecretStr(NOBODY)) as console:
        await console.sign_in()
        page = (await console.get("/trail")).text
        verdict = page.partition('<p class="sub">')[2].partition("</p>")[0]
        assert verdict.startswith('<span class="warn">')
        assert "set <code>CONSENT_WORKER_RECEIPTS_SECRET</code> for the whole fleet" in verdict


async def test_the_page_says_what_does_not_verify(
    console: RunningConsole, ledger: LedgerFile
) -> None:
    await console.sign_in()
    with ledger.transaction() as connection:
        query = ACTS.select().where(ACTS.c.who == "dora", ACTS.c.stage == "ended")
        row = connection.execute(query).one()
        other = bytes(row.row).replace(b"dora", b"carl")
        connection.execute(ACTS.update().where(ACTS.c.id == row.id).values(row=other))
    page = (await console.get("/trail")).text
    said = words_of(page)
    assert "1 chain of those shown here does not verify." in said
    assert "signed, whole" not in said
    marked = [row for row in page.split("<tr>") if "</svg> changed</span>" in row]
    assert ["dora" in row for row in marked] == [True], "the act is marked, and no other"


async def test_an_operator_gets_a_file_that_verifies_and_that_is_on_record(
    console: RunningConsole,
) -> None:
    await console.sign_in(OPERATOR)
    page = (await console.get("/trail")).text
    assert 'action="/trail/acts.jsonl"' in page
    today = datetime.now(UTC).date()
    for query, acts in (
        ("", 2),
        (f"?from={today - timedelta(days=1)}&to={today}", 2),
        (f"?from={today + timedelta(days=1)}", 0),
        ("?to=2020-01-01", 0),
        ("?integration=press", 0),
    ):
        file = await console.get(f"/trail/acts.jsonl{query}")
        assert "attachment" in file.headers["Content-Disposition"]
        verification, findings = verify_file(file.text.encode().splitlines(), Keyring([SECRET]))
        assert (findings, verification.unchecked, verification.chains) == ([], 0, 2 * acts)
        assert f'"acts":{acts}' in file.text
    assert console.letters.trail.waiting == 5, "the broker is away, and they are noted"


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_a_link_of_another_site_takes_no_file_in_the_name_of_who_follows_it(
    console: RunningConsole, site: str
) -> None:
    await console.sign_in(OPERATOR)
    elsewhere = {"Sec-Fetch-Site": site}
    refused = await console.get("/trail/acts.jsonl", headers=elsewhere)
    assert refused.status == 403
    assert "link of another site does nothing here" in refused.text
    assert "Sign in with another key" not in refused.text
    assert console.letters.trail.waiting == 0
    assert (await console.get("/trail", headers=elsewhere)).status == 200, "it may lead to pages"
    for own in ("same-origin", "none"):
        answer = await console.get("/trail/acts.jsonl", headers={"Sec-Fetch-Site": own})
        assert answer.status == 200
    assert console.letters.trail.waiting == 2


@pytest.mark.parametrize(
    "query", ["from=today", "from=2026-11-30&to=2026-11-29", "to=9999-12-31", "from=" + "1" * 999]
)
async def test_days_that_are_none_are_told(console: RunningConsole, query: str) -> None:
    await console.sign_in(OPERATOR)
    answer = await console.get(f"/trail/acts.jsonl?{query}")
    assert (answer.status, "No file was made" in answer.text) == (400, True)


def test_days_are_told_in_words() -> None:
    assert days_in({}).words == "of all times"
    days = days_in({"from": "2026-11-01", "to": "2026-11-30"})
    assert (days.words, days.file_part) == (
        "from 2026-11-01 to 2026-11-30",
        "2026-11-01-2026-11-30",
    )
    assert (days.until_ms or 0) - (days.since_ms or 0) == 30 * 86_400_000
    with pytest.raises(NoSuchDays):
        days_in({"to": "30.11.2026"})
