"""How long choices take until Adobe has accepted them, and how many attempts that takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, get_args

from prometheus_client import CollectorRegistry

from worker.delivery.delivery import Delivery
from worker.evidence.receipt import ChoiceKind
from worker.observability.histograms import Histogram

_LAG_SECONDS: Final = (0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600)
_HONOUR_SECONDS: Final = (1, 5, 30, 60, 300, 600, 1800, 3600, 14_400, 86_400, 259_200)
"""What is promised of withdrawals are minutes, hours or days."""
_ATTEMPTS: Final = (1, 2, 3, 4, 5, 6, 7)


class AcceptanceMetrics:
    """Metrics of accepted choices, counted in `registry` when Adobe accepts, by request."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._lag = Histogram(
            "consent_choice_lag_seconds",
            "Seconds from a choice to its acceptance by Adobe, by kind of choice.",
            _LAG_SECONDS,
            registry,
            "kind",
            get_args(ChoiceKind),
        )
        self._honour = Histogram(
            "consent_withdrawal_honour_seconds",
            "Seconds from a withdrawal to its acceptance by Adobe.",
            _HONOUR_SECONDS,
            registry,
        )
        self._attempts = Histogram(
            "consent_delivery_attempts",
            "Attempts that an event took until Adobe accepted it.",
            _ATTEMPTS,
            registry,
        )

    def count(self, accepted: Sequence[Delivery], now_seconds: float) -> None:
        """Count deliveries that Adobe has accepted; `now_seconds` is since 1970."""
        lags: dict[ChoiceKind, list[float]] = {}
        for delivery in accepted:
            choice = delivery.choice
            lag, kind = now_seconds - choice.event_time_ms / 1000, choice.kind
            if kind in lags:
                lags[kind].append(lag)
            else:
                lags[kind] = [lag]
        for kind, found in lags.items():
            # A producer's clock may be ahead of ours.
            seconds = found if min(found) >= 0 else [max(0.0, one) for one in found]
            self._lag.observe(seconds, kind)
            if kind == "withdrawn":
                self._honour.observe(seconds)
        again = [made + 1 for one in accepted if (made := one.state.attempts_made)]
        if again:
            self._attempts.observe(again)
        self._attempts.observe_same(1, len(accepted) - len(again))
