"""What may be wrong with the receipts' stream as a whole.

What may be wrong with a chain in it is in `worker.evidence.findings`.
"""

from __future__ import annotations

from typing import Final

from worker.code_kinds import Code, Kind
from worker.evidence.findings import FindingCode


class StreamFinding(Code):
    """Counted in the ledger beside the findings about chains."""

    TRUNCATED = (
        "truncated",
        Kind.OVERLOAD,
        "The stream no longer had some records when the ledger came to read them: its retention "
        "is shorter than the time for which the ledger was away.",
    )
    RECREATED = (
        "recreated",
        Kind.OPERATOR,
        "The stream was deleted and made anew, or lost its end. What the ledger had read stays.",
    )


AnyFinding = FindingCode | StreamFinding

SENTENCES: Final[dict[str, str]] = {
    **{one.value: one.sentence for one in FindingCode},
    **{one.value: one.sentence for one in StreamFinding},
}
"""By their codes, as they stand in the ledger."""

MANIPULATIONS: Final = frozenset(one.value for one in FindingCode if one.is_manipulation)
"""Those that no crash, loss of a connection or retention explains."""
