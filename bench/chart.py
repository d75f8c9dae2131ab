"""The chart: CPU per event as a multiple of the floor, drawn as SVG by hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Any, Final

_WIDTH: Final = 760
_LEFT: Final = 190
_RIGHT: Final = 150
_TOP: Final = 64
_BAR: Final = 22
_STEP: Final = 34
_OURS: Final = "#0b7a75"
_OTHERS: Final = "#9aa5b1"
_INK: Final = "#1f2933"


def svg(rows: Sequence[dict[str, Any]], footnote: str) -> str:
    """One bar for each contestant that has a ratio to the floor, the cheapest at the top."""
    shown = sorted(
        (row for row in rows if "cpu_ratio_to_floor" in row),
        key=lambda row: row["cpu_ratio_to_floor"],
    )
    height = _TOP + _STEP * len(shown) + 40
    largest = max(row["cpu_ratio_to_floor"] for row in shown)
    scale = (_WIDTH - _LEFT - _RIGHT) / largest
    floor = _LEFT + scale
    body = [
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        _text(16, 28, "CPU per event of the worker process", size=17, weight="600"),
        _text(16, 48, "1.0 = a consumer that only acknowledges each message", colour="#52606d"),
        *_bars(shown, scale),
        f'<line x1="{floor:.1f}" x2="{floor:.1f}" y1="{_TOP - 6}" '
        f'y2="{_TOP + _STEP * len(shown) - 6}" stroke="{_INK}" stroke-dasharray="3 3"/>',
        _text(16, height - 14, footnote, size=11, colour="#52606d"),
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        f'width="{_WIDTH}" height="{height}" role="img" '
        'font-family="system-ui, -apple-system, Helvetica, Arial, sans-serif">\n'
        "<title>CPU per event, as a multiple of a consumer that only acknowledges</title>\n"
        + "\n".join(body)
        + "\n</svg>\n"
    )


def _bars(rows: Sequence[dict[str, Any]], scale: float) -> Iterator[str]:
    for index, row in enumerate(rows):
        top = _TOP + index * _STEP
        is_ours = row["name"].startswith("ours")
        width = row["cpu_ratio_to_floor"] * scale
        middle = top + _BAR / 2 + 5
        weight = "600" if is_ours else "400"
        yield _text(_LEFT - 10, middle, row["title"], anchor="end", weight=weight)
        yield (
            f'<rect x="{_LEFT}" y="{top}" width="{width:.1f}" height="{_BAR}" rx="2" '
            f'fill="{_OURS if is_ours else _OTHERS}"/>'
        )
        label = f"{row['cpu_ratio_to_floor']:.2f} x  ({row['cpu_us_per_event']:.0f} µs)"
        yield _text(_LEFT + width + 8, middle, label, weight=weight)


def _text(
    x: float,
    y: float,
    content: str,
    *,
    size: int = 13,
    weight: str = "400",
    colour: str = _INK,
    anchor: str = "start",
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-weight="{weight}" '
        f'fill="{colour}" text-anchor="{anchor}">{escape(content)}</text>'
    )
