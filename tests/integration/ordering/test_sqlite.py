"""The state in a file: what is kept when its worker ends, however it ends, and what is said."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from worker.ordering.sqlite_store import SqliteStore
from worker.ordering.stamp import Stamp
from worker.ordering.store_protocol import (
    ERASED,
    Claim,
    Contended,
    Granted,
    Settlement,
    StoreUnavailable,
    Timing,
    tombstone,
)
from worker.ordering.user_digests import UserKeys

TIMING = Timing(60.0, 86_400.0)
NEWSLETTER = "_acme.newsletter"
YES = Stamp(1_800_000_000_000, 0, False, "event-1")
NO = Stamp(1_800_000_001_000, 0, True, "event-2")

ENDLESS = """
import asyncio, sys
from pathlib import Path
from worker.ordering.newest_fold import Stamp
from worker.ordering.sqlite_store import SqliteStore
from worker.ordering.store_protocol import Claim, Settlement, Timing

async def main():
    store = SqliteStore(Path(sys.argv[1]), Timing(60.0, 86_400.0))
    number = 0
    while True:
        number += 1
        users = [f"user-{number}-{place}" for place in range(5)]
        granted = await store.begin("shop", [Claim(one, ("a",)) for one in users])
        written = {"a": Stamp(number, 0, False, "e")}
        await store.settle(
            "shop",
            [Settlement(u, g.lease, written, True) for u, g in zip(users, granted)],
            0.0,
        )
        print(number, flush=True)

asyncio.run(main())
"""


def settled_until_killed(path: Path, commits: int) -> int:
    """How many settlements a process has told of that was killed after so many."""
    script = subprocess.Popen([sys.executable, "-c", ENDLESS, str(path)], stdout=subprocess.PIPE)
    assert script.stdout is not None
    said = 0
    while said < commits:
        said = int(script.stdout.readline())
    os.kill(script.pid, signal.SIGKILL)
    said = max([said, *map(int, script.stdout.read().split())])
    script.wait()
    return said


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.sqlite"


async def accept(store: SqliteStore, user: str, stamp: Stamp, gap_seconds: float = 0.0) -> None:
    (granted,) = await store.begin("shop", [Claim(user, (NEWSLETTER,))])
    assert isinstance(granted, Granted)
    written = {NEWSLETTER: stamp}
    await store.settle("shop", [Settlement(user, granted.lease, written, True)], gap_seconds)


async def known_of(store: SqliteStore, user: str) -> dict[str, Stamp]:
    (granted,) = await store.begin("shop", [Claim(user, (NEWSLETTER,))])
    assert isinstance(granted, Granted)
    await store.settle("shop", [Settlement(user, granted.lease, {}, False)], 0.0)
    return dict(granted.stored)


async def test_stamps_and_gaps_outlive_the_worker(path: Path) -> None:
    before = SqliteStore(path, TIMING)
    await accept(before, "lena", NO)
    await accept(before, "emil", YES, gap_seconds=30.0)
    await before.close()
    after = SqliteStore(path, TIMING)
    assert await known_of(after, "lena") == {NEWSLETTER: NO}
    (cooling,) = await after.begin("shop", [Claim("emil", (NEWSLETTER,))])
    assert isinstance(cooling, Contended)
    assert not cooling.is_held
    assert 0 < cooling.wait_seconds <= 30
    await after.close()


HELD_UNTIL_KILLED = """
import asyncio, sys
from pathlib import Path
from worker.ordering.sqlite_store import SqliteStore
from worker.ordering.store_protocol import Claim, Settlement, Timing

async def main():
    store = SqliteStore(Path(sys.argv[1]), Timing(60.0, 86_400.0))
    users = ("lena", "emil", "nina")
    _, emil, nina = await store.begin("shop", [Claim(one, ("a",)) for one in users])
    await store.settle("shop", [Settlement("emil", emil.lease, {}, True)], 0)
    await store.settle("shop", [Settlement("nina", nina.lease, {}, False)], 0)
    print("held", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def killed_while_it_holds(path: Path) -> None:
    script = subprocess.Popen(
        [sys.executable, "-c", HELD_UNTIL_KILLED, str(path)], stdout=subprocess.PIPE
    )
    assert script.stdout is not None
    assert script.stdout.readline() == b"held\n"
    os.kill(script.pid, signal.SIGKILL)
    script.communicate()


@pytest.mark.parametrize("half_written", [b"", b'[9999999999999,"shop",["ni'])
async def test_who_was_held_by_a_killed_worker_waits_for_the_end_of_that_lease(
    path: Path, half_written: bytes
) -> None:
    """Its request may yet be carried out, over whatever would be sent now."""
    await asyncio.to_thread(killed_while_it_holds, path)
    with path.with_name("state.sqlite-leases").open("ab") as journal:
        journal.write(half_written)
    now = [time.time()]
    for _ in range(2):  # the next one may be killed as well
        store = SqliteStore(path, TIMING, wall_clock=lambda: now[0])
        claims = [Claim(one, (NEWSLETTER,)) for one in ("lena", "emil", "nina", "ole")]
        lena, *others = await store.begin("shop", claims)
        assert isinstance(lena, Contended)
        assert 50 < lena.wait_seconds <= 60
        assert all(isinstance(one, Granted) for one in others)
        await store.settle(
            "shop",
            [
                Settlement(claim.user, one.lease, {}, False)
                for claim, one in zip(claims[1:], others, strict=True)
                if isinstance(one, Granted)
            ],
            0,
        )
        await store.close()
    now[0] += 61
    store = SqliteStore(path, TIMING, wall_clock=lambda: now[0])
    assert await known_of(store, "lena") == {}
    await store.close()


async def test_the_file_of_leases_stays_small(path: Path) -> None:
    now = [1000.0]
    store = SqliteStore(path, TIMING, wall_clock=lambda: now[0])
    sizes = []
    for _ in range(20):
        now[0] += 10.0
        for number in range(50):
            await accept(store, f"user-{number}", YES)
        sizes.append(sum(one.stat().st_size for one in path.parent.glob("*-leases*")))
    assert max(sizes[15:]) <= max(sizes[:15]), "two leases are the longest that is kept"
    await store.close()


async def test_the_file_is_for_its_owners_eyes(path: Path) -> None:
    store = SqliteStore(path, TIMING)
    await accept(store, "lena", YES)
    for one in path.parent.iterdir():
        assert one.stat().st_mode & 0o077 == 0, one.name
    await store.close()


@pytest.mark.parametrize("commits", [1, 7, 40])
async def test_what_was_settled_is_there_after_a_kill(path: Path, commits: int) -> None:
    said = settled_until_killed(path, commits)
    store = SqliteStore(path, TIMING)
    for number in range(1, said + 1):
        for place in range(5):
            (granted,) = await store.begin("shop", [Claim(f"user-{number}-{place}", ("a",))])
            assert isinstance(granted, Granted)
            assert granted.stored == {"a": Stamp(number, 0, False, "e")}
    await store.close()


async def test_a_second_worker_is_told_that_the_file_serves_one(path: Path) -> None:
    first, second = SqliteStore(path, TIMING), SqliteStore(path, TIMING)
    await accept(first, "lena", YES)
    with pytest.raises(StoreUnavailable, match=r"state\.sqlite: another worker has it"):
        await second.ping()
    await first.close()
    await second.ping()
    assert await known_of(second, "lena") == {NEWSLETTER: YES}
    await second.close()


async def test_rounds_at_once_share_commits(path: Path) -> None:
    store = SqliteStore(path, TIMING)
    await asyncio.gather(*(accept(store, f"user-{number}", YES) for number in range(200)))
    for number in range(200):
        assert await known_of(store, f"user-{number}") == {NEWSLETTER: YES}
    await store.close()


async def test_a_user_who_is_asked_for_by_two_rounds_at_once_is_granted_one(path: Path) -> None:
    store = SqliteStore(path, TIMING)
    claims = [Claim("lena", (NEWSLETTER,))]
    answers = await asyncio.gather(*(store.begin("shop", claims) for _ in range(10)))
    assert sum(isinstance(one, Granted) for (one,) in answers) == 1
    await store.close()


@pytest.fixture
def something_else(path: Path) -> bytes:
    path.write_bytes(b"no database " * 100)
    return b"no database " * 100


async def test_a_file_that_is_something_else_is_named_and_left_as_it_is(
    path: Path, something_else: bytes
) -> None:
    store = SqliteStore(path, TIMING)
    with pytest.raises(StoreUnavailable, match="is no SQLite file, or is damaged; move it away"):
        await store.begin("shop", [Claim("lena", (NEWSLETTER,))])
    await store.close()
    assert await asyncio.to_thread(path.read_bytes) == something_else


async def test_it_goes_on_once_the_file_can_be_used_again(path: Path) -> None:
    holder = SqliteStore(path, TIMING)
    await holder.ping()
    store = SqliteStore(path, TIMING)
    with pytest.raises(StoreUnavailable):
        await store.begin("shop", [Claim("lena", (NEWSLETTER,))])
    await holder.close()
    await accept(store, "lena", YES)
    await store.close()


async def test_a_file_of_a_newer_version_is_refused(path: Path) -> None:
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("PRAGMA user_version = 99")
    store = SqliteStore(path, TIMING)
    with pytest.raises(StoreUnavailable, match="of a newer version"):
        await store.ping()
    await store.close()


async def test_a_directory_that_is_missing_is_named(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "nowhere" / "state", TIMING)
    with pytest.raises(StoreUnavailable, match="state: No such file or directory"):
        await store.ping()
    await store.close()


@pytest.mark.parametrize("secret", [b"", b"a secret"])
async def test_a_row_that_cannot_be_read_concerns_its_user_alone(
    path: Path, secret: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    store = SqliteStore(path, TIMING, marks=UserKeys(secret).marks)
    await accept(store, "lena", YES)
    await accept(store, "emil", NO)
    await store.close()
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("UPDATE users SET stamps = '[' WHERE key = 'shop lena'")
    store = SqliteStore(path, TIMING, marks=UserKeys(secret).marks)
    assert await known_of(store, "lena") == {}
    assert await known_of(store, "emil") == {NEWSLETTER: NO}
    assert store.unreadable_values == 1
    assert ("lena" in capsys.readouterr().out) is bool(secret)
    for _ in range(2):  # what is given back unsent stays unreadable, and is no new person
        (granted,) = await store.begin("shop", [Claim("lena", [NEWSLETTER])])
        assert isinstance(granted, Granted)
        assert granted.is_damaged
        await store.settle("shop", [Settlement("lena", granted.lease, {}, False)], 0)
    await accept(store, "lena", NO)
    assert await known_of(store, "lena") == {NEWSLETTER: NO}
    await store.close()


async def test_another_secret_is_refused_and_a_rotation_keeps_what_is_known(path: Path) -> None:
    old, new = UserKeys(b"old"), UserKeys(b"new")
    store = SqliteStore(path, TIMING, marks=old.marks)
    await accept(store, old.user_key("shop", "email", "lena@example.org"), NO)
    await store.close()
    store = SqliteStore(path, TIMING, marks=new.marks)
    with pytest.raises(StoreUnavailable, match="is not the one that this state was kept with"):
        await store.ping()
    await store.close()
    rotating = UserKeys(b"new", b"old")
    store = SqliteStore(path, TIMING, marks=rotating.marks)
    user = rotating.user_key("shop", "email", "lena@example.org")
    assert await known_of(store, user) == {NEWSLETTER: NO}
    (granted,) = await store.begin("shop", [Claim(user, ("other",))])
    assert isinstance(granted, Granted)
    await store.settle("shop", [Settlement(user, granted.lease, {"other": YES}, True)], 0.0)
    await store.close()
    store = SqliteStore(path, TIMING, marks=new.marks)
    assert await known_of(store, new.user_key("shop", "email", "lena@example.org")) == {
        NEWSLETTER: NO
    }
    await store.close()


async def test_what_is_over_is_swept(path: Path) -> None:
    seconds = [1_800_000_000.0]
    store = SqliteStore(path, Timing(60.0, 100.0), wall_clock=lambda: seconds[0])
    for number in range(50):
        await accept(store, f"old-{number}", YES)
    seconds[0] += 200
    for number in range(400):  # two sweeps
        await accept(store, f"new-{number}", YES)
    await store.close()
    with closing(sqlite3.connect(path)) as file, file:
        assert file.execute("SELECT count(*) FROM users WHERE key LIKE '%old-%'").fetchone() == (0,)
        assert file.execute("SELECT count(*) FROM users").fetchone() == (400,)


async def test_a_file_that_is_made_anew_has_another_epoch_and_the_loss_ends_once_accepted(
    path: Path,
) -> None:
    store = SqliteStore(path, TIMING)
    first = await store.epochs.look(())
    assert await store.epochs.look(()) == first
    assert first.losses == ()
    await store.close()
    for one in await asyncio.to_thread(lambda: list(path.parent.iterdir())):
        one.unlink()
    store = SqliteStore(path, TIMING)
    assert await store.epochs.read() is None
    after = await store.epochs.look({first.present})
    assert after.present != first.present
    assert [one.epoch for one in after.open_losses] == [first.present]
    await store.epochs.accept([first.present])
    await store.close()
    store = SqliteStore(path, TIMING)
    assert (await store.epochs.look({first.present})).open_losses == ()
    await store.close()


async def test_forged_epochs_take_a_bounded_room(path: Path) -> None:
    store = SqliteStore(path, TIMING)
    for number in range(100):
        await store.epochs.look({f"{number:016x}"})
    losses = (await store.epochs.look(())).losses
    assert len(losses) == 16
    await store.epochs.accept([one.epoch for one in losses])
    assert len((await store.epochs.look({"f" * 16})).open_losses) == 1
    await store.close()


async def test_a_command_reads_and_writes_beside_the_worker(path: Path) -> None:
    worker, command = SqliteStore(path, TIMING), SqliteStore(path, TIMING, is_worker=False)
    await accept(worker, "lena", YES)
    await command.erase("shop", "lena", NO.time_ms, 1000.0)
    (granted,) = await worker.begin("shop", [Claim("lena", (NEWSLETTER, ERASED))])
    assert isinstance(granted, Granted)
    assert granted.stored == {ERASED: tombstone(NO.time_ms)}
    assert (await command.epochs.read()) is None
    await worker.close()
    await command.close()


async def test_who_opens_a_new_file_while_another_process_does_waits_for_it(path: Path) -> None:
    """SQLite itself refuses at once, though it was given time."""
    store = SqliteStore(path, TIMING, is_worker=False)
    with closing(sqlite3.connect(path, isolation_level=None)) as another:
        another.execute("BEGIN IMMEDIATE")
        ping = asyncio.create_task(store.ping())
        await asyncio.wait([ping], timeout=0.3)
        assert not ping.done()
        another.execute("COMMIT")
        await ping
    await store.close()


async def test_what_only_a_lost_wal_file_held_is_written_back(path: Path) -> None:
    """As when somebody tidies up beside a running worker, which dies later on."""
    store = SqliteStore(path, TIMING)
    first = await store.epochs.look(())
    await accept(store, "lena", NO)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink()
    with pytest.raises(StoreUnavailable, match="lost its -wal file"):
        await store.ping()
    await store.ping()
    copy = path.with_name("as-after-a-kill.sqlite")
    for suffix in ("", "-wal"):
        copy.with_name(copy.name + suffix).write_bytes(
            path.with_name(path.name + suffix).read_bytes()
        )
    await store.close()
    store = SqliteStore(copy, TIMING)
    assert await known_of(store, "lena") == {NEWSLETTER: NO}
    assert not (await store.epochs.look({first.present})).open_losses
    await store.close()


async def test_a_file_that_is_taken_away_is_noticed_made_anew_and_told_of(path: Path) -> None:
    store = SqliteStore(path, TIMING)
    first = await store.epochs.look(())
    await accept(store, "lena", NO)
    for one in await asyncio.to_thread(lambda: list(path.parent.glob("state.sqlite*"))):
        if not one.name.endswith(".lock"):
            one.unlink()
    with pytest.raises(StoreUnavailable, match=r"state\.sqlite: was taken away or replaced"):
        await store.begin("shop", [Claim("lena", (NEWSLETTER,))])
    await store.ping()
    after = await store.epochs.look({first.present})
    assert [one.epoch for one in after.open_losses] == [first.present]
    await accept(store, "lena", NO)
    await store.close()
    store = SqliteStore(path, TIMING)
    assert await known_of(store, "lena") == {NEWSLETTER: NO}
    await store.close()
