"""The benchmark's own instruments: a figure that is wrong is worse than none."""

import json
import xml.etree.ElementTree as ET

from pamqp import body, commands, frame, header

from bench.chart import svg
from bench.documents import with_results
from bench.events import MARK, event_body
from bench.publisher import Job, frames_of, messages
from bench.report import latency_heads, latency_lines
from bench.stub.figures import Figures
from worker.events import open_envelope, read_record


def _published(count: int, organizations: int = 1) -> list[bytes]:
    template = frames_of("", "queue", commands.Basic.Properties(), event_body())
    job = Job("", "", count, organizations=organizations)
    return [message for _, message in messages(job, template)]


def _body_of(message: bytes) -> bytes:
    parts = []
    while message:
        size, _, part = frame.unmarshal(message)
        parts.append(part)
        message = message[size:]
    assert isinstance(parts[1], header.ContentHeader)
    assert isinstance(parts[2], body.ContentBody)
    assert parts[1].body_size == len(parts[2].value)
    return parts[2].value


def test_each_published_event_is_valid_and_of_a_user_of_its_own() -> None:
    bodies = [_body_of(one) for one in _published(20, organizations=3)]
    records = [read_record(open_envelope(one), 2**50) for one in bodies]
    assert len({one.organization_user_id for one in records}) == 20
    assert len({one.event_id for one in records}) == 20
    organizations = {open_envelope(one).organization_id for one in bodies}
    assert organizations == {"org-0000", "org-0001", "org-0002"}


def test_an_event_counts_once_and_from_when_it_was_due() -> None:
    figures = Figures()
    content = _body_of(_published(1)[0])
    assert len(MARK.findall(content)) == 1
    assert figures.request(b"org-0000", content) == 1
    assert figures.request(b"org-0000", content) == 1
    summary = figures.summary(b"t", 0, b"")
    assert (summary["events"], summary["repeated"], summary["requests"]) == (1, 1, 2)
    assert 0 <= summary["p50_ms"] < 60_000


def test_one_inlet_can_be_left_out() -> None:
    figures = Figures()
    for number, message in enumerate(_published(10)):
        figures.request(b"bad" if number < 4 else b"good", _body_of(message))
    assert figures.arrived(b"t", b"bad") == 6
    assert figures.summary(b"t", 0, b"bad")["events"] == 6


def test_what_the_worker_adds_is_counted_from_the_delivery_by_the_broker() -> None:
    figures = Figures()
    message = _published(1)[0]
    figures.saw_delivery(message)
    figures.request(b"org-0000", _body_of(message))
    assert figures.summary(b"t", 0, b"")["added_p50_ms"] is not None


def _row(name: str, ratio: float) -> dict[str, object]:
    return {
        "name": name,
        "title": f"<{name}>",
        "cpu_us_per_event": 100 * ratio,
        "cpu_ratio_to_floor": ratio,
        "cpu_ratio_to_bare": ratio / 2,
        "events_per_second": 1000.0,
        "peak_memory_mb": 50.0,
        "events_per_request": 1.0,
        "latency": {"10": {"400": {"p50_ms": 1.0, "p99_ms": 2.0, "p999_ms": 3.25}}},
    }


def test_the_chart_is_well_formed_and_names_everybody() -> None:
    drawn = svg([_row("floor", 1.0), _row("ours", 0.9)], "here & now")
    texts = [one.text for one in ET.fromstring(drawn).iter() if one.text]
    assert {"<floor>", "<ours>", "here & now"} <= set(texts)


def test_results_replace_what_stood_between_the_marks_and_nothing_else() -> None:
    results = {
        "contestants": [_row("floor", 1.0)],
        "scenarios": {"storm": {"p99_ratio": 1.5}},
        "machine": {"cores": 2, "processor": "a processor", "python": "3.11"},
        "command": "make bench",
        "made_at": "2026-01-01T00:00:00",
        "load_before": 0.1,
    }
    text = "a\n<!-- benchmark -->\nold\n<!-- /benchmark -->\nb"
    filled = with_results(text, json.loads(json.dumps(results)))
    assert filled.startswith("a\n<!-- benchmark -->\n|")
    assert filled.endswith("<!-- /benchmark -->\nb")
    assert "old" not in filled
    assert with_results(filled, results) == filled


def test_latencies_stand_by_rate_and_customers_and_a_dash_where_nobody_keeps_up() -> None:
    [line] = latency_lines([_row("ours", 0.9)])
    assert line == ["<ours>", "10", "-", "1.00 / 2.00 / 3.25", "-", "-", "-"]
    assert len(line) == len(latency_heads())
