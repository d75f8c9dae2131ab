"""How fast the ledger reads and answers, and how large it gets: `python -m bench.ledger`.

A real stream is filled with made receipts first, which takes longer than all that is measured. With
`--direct` they are made while they are taken in, without a broker, and only the time of the taking
in counts. `--multiply 10` then asks a ledger of ten times the size, and has it read a fifth more.
`--letters 50000` puts so many dead letters there as a pass does, and lists them. `--keep FILE`
leaves the ledger there, as for `python -m bench.console FILE`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final

import aio_pika

from devtools.broker import running_broker
from devtools.made_receipts import MadeWorker, made_now_ms, many
from worker.broker.dead_letter import DeadLetter
from worker.broker.stream_consumer import Record
from worker.evidence.receipt import Receipt
from worker.evidence.signing import Keyring
from worker.ledger.database import Database
from worker.ledger.known_letters import LetterPass, known_letters, latest_letters, letters_called
from worker.ledger.letter_pass_rows import SeenLetter
from worker.ledger.migrations import upgrade
from worker.ledger.overview import overview
from worker.ledger.packing import pack_user
from worker.ledger.progress import read_progress
from worker.ledger.records import Start
from worker.ledger.records_into_tables import TakingIn
from worker.ledger.schema import METADATA
from worker.ledger.stories import Wanted, find_event, find_users

_EACH: Final = 100
"""Receipts in a message, as under load."""
_BATCH: Final = 512
_QUESTIONS: Final = 1_000
_SECRET: Final = "of-the-benchmark"


class _Sample:
    """Some of the receipts, to be asked for later."""

    def __init__(self, count: int) -> None:
        self._step = max(1, count // _QUESTIONS)
        self._number = 0
        self.receipts: list[Receipt] = []

    def see(self, part: list[Receipt]) -> None:
        """One message's receipts."""
        self._number += len(part)
        if self._number // self._step > len(self.receipts):
            self.receipts.append(part[self._number % len(part)])


def _messages(count: int, sample: _Sample, seed: int = 1) -> Iterator[bytes]:
    worker = MadeWorker(secret=_SECRET.encode())
    receipts = many(count, seed, integrations=1_000)
    while part := list(islice(receipts, _EACH)):
        sample.see(part)
        yield worker.receipts(part)


async def _fill(url: str, queue: str, bodies: Iterable[bytes]) -> None:
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel(publisher_confirms=True)
        await channel.declare_queue(queue, durable=True, arguments={"x-queue-type": "stream"})
        source = iter(bodies)
        while some := list(islice(source, _BATCH)):
            await asyncio.gather(
                *(
                    channel.default_exchange.publish(aio_pika.Message(body, delivery_mode=2), queue)
                    for body in some
                )
            )


def _read_stream(url: str, file: Path) -> tuple[float, float]:
    """Seconds of time and of CPU of `ledger --once`, without those of an empty run."""
    settings = {
        "AMQP_URL": url,
        "NAMESPACE": "bench",
        "LEDGER_URL": f"sqlite://{file}",
        "RECEIPTS_SECRET": _SECRET,
    }
    env = os.environ | {f"CONSENT_WORKER_{name}": one for name, one in settings.items()}
    taken = []
    for _ in range(2):
        began, cpu = time.monotonic(), os.times()
        command = [sys.executable, "-m", "worker", "ledger", "--once"]
        subprocess.run(command, env=env, check=True)
        now = os.times()
        used = now.children_user + now.children_system - cpu.children_user - cpu.children_system
        taken.append((time.monotonic() - began, used))
    (seconds, used), (empty_seconds, empty_used) = taken
    return seconds - empty_seconds, used - empty_used


def _take_directly(file: Path, bodies: Iterable[bytes]) -> tuple[float, float]:
    """Seconds of time and of CPU that the taking in alone took."""
    database = Database(f"sqlite://{file}", writes=True)
    upgrade(database)
    taking_in = TakingIn(database, Keyring([_SECRET.encode()]))
    taking_in.begin(Start(0, is_recreated=False), made_now_ms())
    seconds = used = 0.0
    with database.transaction() as connection:
        progress = read_progress(connection)
    offset = 0 if progress is None else progress.next_offset
    source = iter(bodies)
    while some := list(islice(source, _BATCH)):
        records = [Record(offset + n, body) for n, body in enumerate(some)]
        offset += len(some)
        began, cpu = time.monotonic(), time.process_time()
        taking_in.take(records, made_now_ms())
        seconds += time.monotonic() - began
        used += time.process_time() - cpu
    database.close()
    return seconds, used


def _tell_speed(count: int, seconds: float, used: float) -> None:
    each = used / count * 1e6
    print(f"{count} receipts: read {count / seconds:.0f}/s, {each:.1f} µs of CPU each", flush=True)


def _tell_size(file: Path, count: int) -> None:
    size = sum(one.stat().st_size for one in file.parent.glob("ledger.sqlite*"))
    print(f"{count} receipts: {size / 1e6:.0f} MB, {size / count:.0f} bytes each", flush=True)


def _multiply(file: Path, times: int) -> None:
    """Copy receipts and lives under ids that are as random as those of the first ones."""
    with sqlite3.connect(file, isolation_level=None) as ledger:
        ledger.execute("PRAGMA cache_size = -524288")
        (receipts,) = ledger.execute("SELECT MAX(id) FROM receipts").fetchone()
        (lives,) = ledger.execute("SELECT MAX(id) FROM lives").fetchone()
        for number in range(1, times):
            values = {"r": number * receipts, "l": number * lives, "R": receipts, "L": lives}
            ledger.execute("BEGIN")
            ledger.execute(_copied("receipts", {"event": "randomblob(17)"}, "r", "R"), values)
            new = {"life": "randomblob(16)", "user": "randomblob(8)"}
            ledger.execute(_copied("lives", new, "l", "L"), values)
            ledger.execute("COMMIT")
        ledger.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _copied(table: str, new: dict[str, str], step: str, first: str) -> str:
    added = {"id": f"id + :{step}", "before_id": "before_id + :r", "last_id": "last_id + :r"}
    columns = [column.name for column in METADATA.tables[table].columns]
    values = ", ".join({**added, **new}.get(one, f'"{one}"') for one in columns)
    return f"INSERT INTO {table} SELECT {values} FROM {table} WHERE id <= :{first}"


def _ask(file: Path, sample: _Sample) -> None:
    database = Database(f"sqlite://{file}")

    def timed(what: str, ask: Callable[[Receipt], bool]) -> None:
        times = []
        for one in sample.receipts:
            began = time.perf_counter()
            assert ask(one), "what was published is found"
            times.append((time.perf_counter() - began) * 1000)
        p99 = statistics.quantiles(times, n=100)[98]
        print(f"{what}: median {statistics.median(times):.2f} ms, p99 {p99:.2f} ms")

    def by_event(one: Receipt) -> bool:
        with database.transaction() as connection:
            return bool(find_event(connection, one.event, Wanted()).stories)

    def by_user(one: Receipt) -> bool:
        user = pack_user(one.user)
        with database.transaction() as connection:
            return user is not None and bool(find_users(connection, [user], Wanted()).stories)

    timed("by event", by_event)
    timed("by user", by_user)
    began = time.perf_counter()
    with database.transaction() as connection:
        overview(connection, made_now_ms())
    print(f"status: {(time.perf_counter() - began) * 1000:.1f} ms")
    database.close()


def _list_letters(file: Path, count: int) -> None:
    database = Database(f"sqlite://{file}", writes=True)
    taking_in = TakingIn(database, Keyring([_SECRET.encode()]))
    now = made_now_ms()
    began = time.perf_counter()
    pass_id = taking_in.begin_letters()
    for start in range(0, count, 1_000):
        some = [_made_letter(number, now) for number in range(start, min(start + 1_000, count))]
        taking_in.put_letters(pass_id, some, now)
    taking_in.end_letters(pass_id, LetterPass(now, now, count, count, 0))
    print(f"{count} dead letters: put there in {time.perf_counter() - began:.2f} s")
    middle = f"{count // 2:032x}"
    with database.transaction() as connection:
        for what, ask in (
            ("first page", lambda: len(list(islice(latest_letters(connection), 50))) == 50),
            ("all", lambda: sum(1 for _ in latest_letters(connection)) == count),
            ("their number", lambda: known_letters(connection) == count),
            ("one", lambda: letters_called(connection, middle)),
        ):
            began = time.perf_counter()
            assert ask(), "all are there"
            print(f"{what}: {(time.perf_counter() - began) * 1000:.1f} ms")
    database.close()


def _made_letter(number: int, now_ms: int) -> SeenLetter:
    letter = DeadLetter(
        id=f"{number:032x}",
        reason="adobe-rejected",
        integration=f"customer-{number % 100:04d}",
        error="adobe-rejected",
        detail="HTTP 400: DCVS-1106-400: required key (text 3f9a01c2de)",
        http_status=400,
        attempts=1,
        first_attempt_at_ms=now_ms - number,
        dead_at_ms=now_ms - number,
        replays=0,
        epoch=None,
        config="0123456789ab",
        body_bytes=1_000,
    )
    return SeenLetter(letter, [number.to_bytes(8, "big") + b"lettered"], ())


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--receipts", type=int, default=1_000_000)
    parser.add_argument("--direct", action="store_true")
    parser.add_argument("--multiply", type=int, default=1, help="then copy the rows so often")
    parser.add_argument("--letters", type=int, default=0, help="and so many dead letters")
    parser.add_argument("--keep", type=Path, help="leave the ledger in this new file")
    chosen = parser.parse_args()
    count: int = chosen.receipts
    sample = _Sample(count)
    with tempfile.TemporaryDirectory(prefix="bench-ledger-") as directory:
        file = chosen.keep or Path(directory) / "ledger.sqlite"
        if file.exists():
            parser.error(f"{file} is there already")
        if chosen.direct:
            seconds, used = _take_directly(file, _messages(count, sample))
        else:
            with running_broker() as broker:
                asyncio.run(_fill(broker.url, "bench.receipts", _messages(count, sample)))
                seconds, used = _read_stream(broker.url, file)
        _tell_speed(count, seconds, used)
        _tell_size(file, count)
        _ask(file, sample)
        if chosen.letters:
            _list_letters(file, chosen.letters)
        if chosen.multiply > 1:
            _multiply(file, chosen.multiply)
            _tell_size(file, count * chosen.multiply)
            _ask(file, sample)
            more = count // 5
            _tell_speed(more, *_take_directly(file, _messages(more, _Sample(more), seed=2)))


if __name__ == "__main__":
    _main()
