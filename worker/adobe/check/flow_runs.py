"""Judges the flow's latest runs: were records dropped after they had been accepted? Pure.

Adobe's pages "Monitor dataflows" and "Flow Service errors". Whether Adobe lists the runs of
streaming flows, and what merges look like in them, is in no page.
"""

from __future__ import annotations

import re
from typing import Any, Final

from worker.adobe.check.adobe_documents import at, objects_at, text_at
from worker.adobe.check.customer_setup import SetUp
from worker.adobe.check.inlet_rules import SOURCES
from worker.adobe.check.read_answers import Found, not_judged
from worker.adobe.check.report_lines import Line, ok, wrong

RECENT_SECONDS: Final = 86_400
"""What failed before that may have been mended since, and lies in the runs for ever."""
_CODE: Final = re.compile(r"[A-Z]{3,10}-\d{3,5}(?:-\d{3})?")
_MOST_CODES: Final = 5


def judge_runs(found: SetUp) -> Line:
    """Whether a run of the last 24 hours failed, or lost records."""
    if not isinstance(found.runs, Found):
        return not_judged("runs", found.runs, SOURCES)
    since = found.now_ms - RECENT_SECONDS * 1000
    recent = [one for one in objects_at(found.runs.document, "items") if _is_since(one, since)]
    failed = [one for one in recent if _lost(one) or _status(one) == "failed"]
    if not failed:
        if not recent:
            return ok("runs", "none is listed of the last 24 hours")
        return ok("runs", f"none of the last {len(recent)} failed, or lost records")
    lost = sum(_lost(one) for one in failed)
    codes = sorted({code for one in failed for code in _codes(one)})[:_MOST_CODES]
    said = f" ({', '.join(codes)})" if codes else ""
    text = f"{len(failed)} of the last {len(recent)} runs failed or lost records, {lost} in all"
    return wrong("runs", f"{text}{said}; see the dataflow's runs at Adobe")


def _is_since(run: dict[str, Any], since_ms: int) -> bool:
    created = at(run, "createdAt")
    return not isinstance(created, int | float) or created >= since_ms


def _lost(run: dict[str, Any]) -> int:
    count = at(run, "metrics", "recordSummary", "failedRecordCount")
    return int(count) if isinstance(count, int | float) and 0 < count < 1e15 else 0


def _status(run: dict[str, Any]) -> str:
    return text_at(run, "metrics", "statusSummary", "status").lower()


def _codes(run: dict[str, Any]) -> list[str]:
    """Codes of a known shape alone: the texts beside them may quote a record."""
    said = objects_at(run, "metrics", "statusSummary", "errors")
    said += objects_at(run, "metrics", "recordSummary", "failedInfo")
    return [code for one in said if _CODE.fullmatch(code := text_at(one, "code"))]
