"""What `erase` says of what it did, and of what it can't reach."""

from __future__ import annotations

from typing import Final

from worker.cli.command_support import complain, print_json, say
from worker.cli.terminal import shown
from worker.counting import counted

_NAMED_AT_MOST: Final = 20
_IN_MEMORY: Final = (
    "not erased in the state: without CONSENT_WORKER_STATE_URL a worker keeps it in memory, which "
    "no command reaches. A restart forgets it; what still waits for the person is "
    "delivered"
)
OUT_OF_REACH: Final = (
    "events that wait in queues: each is skipped as `erased` when it comes, until then it is there",
    "Adobe: delete the profile there",
    "Didomi, and the producer of the events",
    "logs, backups of the broker and of Redis, and exports of dead letters",
    "the stream of the receipts, which keeps its copies until their retention ends, as do exports "
    "of ledgers; a ledger blanks what it has when it reads that the person was erased",
    "other namespaces, and integrations whose file is gone",
    "other ids and spellings of the person: give each of them, one a line",
)


def sentence_of(report: dict[str, object]) -> str:
    """What an erasure came to, as a sentence for the trail."""
    letters = counted(int(str(report["dead_letters_removed"])), "dead letter")
    kept = report["kept"]
    is_left = isinstance(kept, list) and bool(kept)
    parts = [
        "done" if report["erased_before"] else "not in the state, which is in memory",
        f"{letters} removed",
        f"{counted(int(str(report['receipts_written'])), 'receipt')} written",
    ]
    if isinstance(kept, list) and is_left:
        parts.append(f"{counted(len(kept), 'dead letter')} kept")
    if report["receipts_to_repeat"]:
        parts.append("receipts are to be repeated")
    return "; ".join(parts)


def tell_erasure(report: dict[str, object], as_json: bool) -> None:
    """Tell the person at the terminal what became of an erasure."""
    if as_json:
        print_json(report)
        if report["receipts_to_repeat"]:
            complain(str(report["receipts_note"]))
        return
    kept = report["kept"]
    removed = counted(int(str(report["dead_letters_removed"])), "dead letter")
    if report["dry_run"]:
        say(f"would remove {removed}")
    else:
        if report["erased_before"]:
            integrations = counted(int(str(report["integrations"])), "integration")
            days = float(str(report["kept_for_seconds"])) / 86_400
            say(
                f"erased at {integrations}: what is older than "
                f"{report['erased_before']} and comes back is skipped, for {days:.3g} days"
            )
        else:
            complain(_IN_MEMORY)
        say(f"removed {removed}")
        _tell_of_receipts(report)
    if isinstance(kept, list):
        for one in kept[:_NAMED_AT_MOST]:
            complain(
                f"kept, since it speaks of others or is no event: {shown(one)}; look at it by "
                "`dead-letters show`, then replay it, which skips what is erased, or discard it"
            )
        if len(kept) > _NAMED_AT_MOST:
            complain(f"kept likewise: {len(kept) - _NAMED_AT_MOST} more")
    say("Out of reach of this command:")
    for one in OUT_OF_REACH:
        say(f"- {one}")


def _tell_of_receipts(report: dict[str, object]) -> None:
    if report["receipts_to_repeat"]:
        complain(str(report["receipts_note"]))
    elif report["receipts_note"]:
        say(str(report["receipts_note"]))
    else:
        written = counted(int(str(report["receipts_written"])), "receipt")
        say(
            f"wrote {written} of the erasure to the stream: a ledger that reads "
            "that blanks what it has of the person"
        )
