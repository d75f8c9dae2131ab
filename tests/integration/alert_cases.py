"""What Prometheus sees in normal traffic, and what staged faults change of it.

Values are in promtool's notation, a sample a minute: `a+bxn` is a, a+b, … and `_xn` no sample.
"""

from __future__ import annotations

from typing import Final, NamedTuple

LONG: Final = 1600
"""Minutes: more than a day, for which dead letters may lie."""
_W1: Final = 'job="consent-worker",instance="w1"'
_W2: Final = 'job="consent-worker",instance="w2"'
_QUEUE: Final = 'vhost="/",queue='

Series = dict[str, str]


def _of_worker(worker: str, traffic: int) -> Series:
    """A worker that has been running for a day, with so many events a minute."""
    outcomes = {
        'outcome="delivered",reason=""': f"0+{traffic}x{LONG}",
        'outcome="skipped",reason="guest"': f"0+5x{LONG}",
        'outcome="parked",reason="lane-full"': f"0x200 0+9x5 54x{LONG}",
        'outcome="retried",reason="timeout"': f"0x300 1x300 2x{LONG}",
        'outcome="dead",reason="retries-exhausted"': f"0x{LONG}",
        'outcome="dead",reason="poison"': f"0x{LONG}",
    }
    of_integration = {
        "delivered": f"0+{traffic}x{LONG}",
        "retried": f"0x300 1x300 2x{LONG}",
        "dead": f"0x{LONG}",
    }
    states = {"enabled": 10, "invalid": 0, "vanished": 0, "missing": 0}
    replies = {"2xx": f"0+60x{LONG}", "5xx": f"0+1x{LONG}", "none": f"0x{LONG}"}
    return {
        f"up{{{worker}}}": f"1x{LONG}",
        f"process_start_time_seconds{{{worker}}}": f"-86400x{LONG}",
        f"consent_ready{{{worker}}}": f"1x{LONG}",
        **{f"consent_outcomes_total{{{worker},{of}}}": said for of, said in outcomes.items()},
        **{
            f'consent_integration_outcomes_total{{{worker},integration="shop",outcome="{of}"}}': one
            for of, one in of_integration.items()
        },
        **{
            f'consent_integrations{{{worker},state="{state}"}}': f"{number}x{LONG}"
            for state, number in states.items()
        },
        **{
            f'consent_adobe_replies_total{{{worker},status_class="{of}"}}': said
            for of, said in replies.items()
        },
        f'consent_integration_repeats_total{{{worker},integration="shop"}}': (
            f"0x300 0+1x20 20x{LONG}"
        ),
        f'consent_lane_blocked{{{worker},integration="shop"}}': f"0x{LONG}",
        f"consent_messages_refused_total{{{worker}}}": f"0x{LONG}",
        f"consent_broker_reconnects_total{{{worker}}}": f"0x500 1x{LONG}",
        f"consent_oldest_withdrawal_seconds{{{worker}}}": f"0 2 0 3x{LONG}",
        f'consent_withdrawal_honour_seconds_bucket{{{worker},le="30"}}': f"0+50x{LONG}",
        f'consent_withdrawal_honour_seconds_bucket{{{worker},le="1800"}}': f"0+50x{LONG}",
        f'consent_withdrawal_honour_seconds_bucket{{{worker},le="+Inf"}}': f"0+50x{LONG}",
        f'consent_lateness_seconds_bucket{{{worker},kind="retry",le="5"}}': f"0+50x{LONG}",
        f'consent_lateness_seconds_bucket{{{worker},kind="retry",le="120"}}': f"0+50x{LONG}",
        f'consent_lateness_seconds_bucket{{{worker},kind="retry",le="+Inf"}}': f"0+50x{LONG}",
        f"consent_ordering_available{{{worker}}}": f"1x{LONG}",
        # The broker was busy for a moment.
        f"consent_receipts_away{{{worker}}}": f"0x700 1 0x{LONG}",
        f"consent_ordering_state_lost{{{worker}}}": f"0x{LONG}",
        f'consent_configuration_info{{{worker},version="one"}}': f"1x400 _x5 1x{LONG}",
        # A new file, which the other worker reads a few minutes later.
        f'consent_configuration_info{{{worker},version="two"}}': "_x401 1x3",
    }


_OF_RABBITMQ: Final[Series] = {
    # One more queue of events, of which a worker has some in hand when others wait.
    f'rabbitmq_detailed_queue_messages_ready{{{_QUEUE}"consent.events.2"}}': f"0 9 700 0x{LONG}",
    f'rabbitmq_detailed_queue_messages_unacked{{{_QUEUE}"consent.events.2"}}': f"0 5 9 0x{LONG}",
    f'rabbitmq_detailed_queue_messages_ready{{{_QUEUE}"consent.events"}}': f"0 9 1200 0x{LONG}",
    f'rabbitmq_detailed_queue_messages{{{_QUEUE}"consent.dead-letters"}}': f"0x{LONG}",
    f'rabbitmq_detailed_queue_messages{{{_QUEUE}"consent.suspects"}}': f"0x90 1 1 0x{LONG}",
    f'rabbitmq_detailed_queue_messages_unacked{{{_QUEUE}"consent.delay.4s"}}': f"0 7 0 3 0x{LONG}",
    "rabbitmq_global_messages_dead_lettered_delivery_limit_total": f"0x{LONG}",
    "rabbitmq_global_messages_dead_lettered_rejected_total": f"0x{LONG}",
}
_D1: Final = 'job="consent-worker-door",instance="d1"'
_D2: Final = 'job="consent-worker-door",instance="d2"'


def _answers(door: str, answer: str) -> str:
    return f'consent_door_answers_total{{{door},answer="{answer}"}}'


def _of_door(door: str) -> Series:
    """One of which a restart of RabbitMQ, and somebody's few guesses, are told."""
    return {
        f"up{{{door}}}": f"1x{LONG}",
        f"consent_door_ready{{{door}}}": f"1x600 0 1x{LONG}",
        _answers(door, "accepted"): f"0+600x{LONG}",
        _answers(door, "token-expired"): f"0+2x{LONG}",
        _answers(door, "broker-away"): f"0x600 90x{LONG}",
        _answers(door, "busy"): f"0x{LONG}",
        _answers(door, "credentials-wrong"): f"0x650 8x{LONG}",
        _answers(door, "credentials-missing"): f"0x{LONG}",
    }


_L1: Final = 'job="consent-worker-ledger",instance="l1"'
_OVERTAKEN: Final = f"consent_ledger_overtaken_events{{{_L1}}}"
_MISSING: Final = f"consent_ledger_missing_events{{{_L1}}}"
_STREAM_AWAY: Final = f"consent_ledger_stream_away{{{_L1}}}"
_UNWRITTEN: Final = f"consent_ledger_unwritten{{{_L1}}}"


def _findings(kind: str, ledger: str = _L1) -> str:
    return f'consent_ledger_findings_total{{{ledger},kind="{kind}"}}'


_OF_LEDGER: Final[Series] = {
    f"up{{{_L1}}}": f"1x{LONG}",
    f"process_start_time_seconds{{{_L1}}}": f"-86400x{LONG}",
    # A letter of RabbitMQ's own, which a look at the letters finds a few minutes later.
    _OVERTAKEN: f"0x800 1x5 0x{LONG}",
    # A parked event is late for a few minutes, too.
    _MISSING: f"0x800 1x5 0x90 3x5 0x{LONG}",
    # A restart of RabbitMQ, and a copy of the file.
    _STREAM_AWAY: f"0x600 1 1 0x{LONG}",
    _UNWRITTEN: f"0x650 1 0x{LONG}",
    # Workers are killed, and what happened yesterday is known.
    _findings("ended-without-end"): f"0x90 1x300 2x{LONG}",
    _findings("forged"): f"3x{LONG}",
    _findings("cut"): f"0x{LONG}",
    _findings("truncated"): f"1x{LONG}",
    _findings("recreated"): f"0x{LONG}",
}
NORMAL: Final[Series] = (
    _of_worker(_W1, 600)
    | _of_worker(_W2, 400)
    | _of_door(_D1)
    | _of_door(_D2)
    | _OF_LEDGER
    | _OF_RABBITMQ
)
NOTHING: Final[Series] = {}


class Fault(NamedTuple):
    """What differs from normal traffic: series in place of others, and series that are `gone`
    from a minute on, by what their names begin with. `fires`: the alerts at that minute.
    """

    changes: Series
    minute: int
    fires: frozenset[str]
    gone: str = ""


def _fault(changes: Series, minute: int, *fires: str, gone: str = "") -> Fault:
    return Fault(changes, minute, frozenset(fires), gone)


def _unacked(queue: str) -> str:
    return f'rabbitmq_detailed_queue_messages_unacked{{{_QUEUE}"{queue}"}}'


def _ready(queue: str) -> str:
    return f'rabbitmq_detailed_queue_messages_ready{{{_QUEUE}"{queue}"}}'


_L2: Final = 'job="consent-worker-ledger",instance="l2"'
_SUSPECTS: Final = f'rabbitmq_detailed_queue_messages{{{_QUEUE}"consent.suspects"}}'
_LETTERS: Final = f'rabbitmq_detailed_queue_messages{{{_QUEUE}"consent.dead-letters"}}'
_DEAD: Final = f'consent_outcomes_total{{{_W1},outcome="dead",reason="retries-exhausted"}}'
_W3: Final = 'job="consent-worker",instance="w3"'
_NEW_DEAD: Final = f'consent_outcomes_total{{{_W3},outcome="dead",reason="poison"}}'
_NEW_REFUSED: Final = f"consent_messages_refused_total{{{_W3}}}"

FAULTS: Final = {
    "the first dead letter": _fault({_DEAD: f"0x20 1x{LONG}"}, 22, "ConsentDeadLetter"),
    "a dead letter is old": _fault({_DEAD: f"0x20 1x{LONG}"}, 60),
    "a dead letter after a restart": _fault({_DEAD: "5x20 0x3 1x9"}, 25, "ConsentDeadLetter"),
    "a restart": _fault({_DEAD: "5x40 0x30"}, 45),
    "a new worker's first dead letter, before its first scrape": _fault(
        {
            f"process_start_time_seconds{{{_W3}}}": "_x30 1790x90",
            _NEW_DEAD: "_x30 1x90",
        },
        33,
        "ConsentDeadLetter",
    ),
    "an old worker is scraped again": _fault(
        {
            f"process_start_time_seconds{{{_W3}}}": "_x30 -86400x90",
            _NEW_DEAD: "_x30 1x90",
        },
        33,
    ),
    "no series at all": Fault(
        NOTHING, 15, frozenset({"ConsentNoWorker", "ConsentQueuesUnwatched"}), gone="*"
    ),
    "a target is down": _fault(
        {f"up{{{_W1}}}": f"1x10 0x{LONG}"}, 14, "ConsentWorkerDown", gone=_W1
    ),
    "all targets are down": _fault(
        {f"up{{{_W1}}}": f"1x10 0x{LONG}", f"up{{{_W2}}}": f"1x10 0x{LONG}"},
        40,
        *("ConsentWorkerDown", "ConsentNoWorker"),
        gone="consent_",
    ),
    "no worker is ready": _fault(
        {f"consent_ready{{{one}}}": "1x10 0x30" for one in (_W1, _W2)}, 14, "ConsentNotReady"
    ),
    "one worker is not ready": _fault({f"consent_ready{{{_W1}}}": "1x10 0x30"}, 14),
    "a message that is too large": _fault(
        {f"consent_messages_refused_total{{{_W1}}}": "0x20 1x30"}, 22, "ConsentMessageRefused"
    ),
    "a new worker's first refusal, before its first scrape": _fault(
        {
            f"process_start_time_seconds{{{_W3}}}": "_x30 1790x90",
            _NEW_REFUSED: "_x30 1x90",
        },
        33,
        "ConsentMessageRefused",
    ),
    "the delivery limit is reached": _fault(
        {"rabbitmq_global_messages_dead_lettered_delivery_limit_total": "0x20 1x30"},
        22,
        "ConsentBrokerDeadLetter",
    ),
    "a rejection of a worker that has died": _fault(
        {"rabbitmq_global_messages_dead_lettered_rejected_total": "0x20 1x30"},
        22,
        "ConsentBrokerDeadLetter",
    ),
    "nobody has looked at dead letters": _fault(
        {_LETTERS: f"0x20 1x{LONG}", _ready("consent.dead-letters"): f"0x20 1x{LONG}"},
        1500,
        "ConsentDeadLettersLeft",
    ),
    "somebody has looked at dead letters, and decided nothing": _fault(
        {_LETTERS: f"0x20 1x{LONG}", _ready("consent.dead-letters"): f"0x20 1x700 0x5 1x{LONG}"},
        1500,
        "ConsentDeadLettersLeft",
    ),
    "the backlog grows": _fault(
        {_ready("consent.events"): "0x20 900+300x90"}, 40, "ConsentBacklog"
    ),
    "the backlog is spread over queues": _fault(
        {
            _ready("consent.events"): "0x20 600x90",
            _ready("consent.events.2"): "0x20 600x90",
            _unacked("consent.events.2"): "0x20 9x90",
        },
        40,
        "ConsentBacklog",
    ),
    "a queue of events is in no list any more": _fault(
        {_ready("consent.events.2"): "0x20 3x90"}, 40, "ConsentEventsLeft"
    ),
    "a worker has all that waits in hand": _fault(
        {_ready("consent.events.2"): "0x20 3x90", _unacked("consent.events.2"): "0x20 9x90"}, 40
    ),
    "events wait and none is delivered": _fault(
        {
            _ready("consent.events"): "0x20 10x60",
            **{
                f'consent_outcomes_total{{{one},outcome="delivered",reason=""}}': "0+9x20 180x60"
                for one in (_W1, _W2)
            },
        },
        45,
        "ConsentNothingDelivered",
    ),
    "nothing comes and nothing is delivered": _fault(
        {
            f'consent_outcomes_total{{{one},outcome="delivered",reason=""}}': "0+9x20 180x60"
            for one in (_W1, _W2)
        },
        45,
    ),
    "a withdrawal is held": _fault(
        {f"consent_oldest_withdrawal_seconds{{{_W1}}}": "0x10 0+60x60"},
        30,
        "ConsentWithdrawalWaits",
    ),
    "withdrawals are honoured late": _fault(
        {
            f'consent_withdrawal_honour_seconds_bucket{{{one},le="30"}}': f"0+40x{LONG}"
            for one in (_W1, _W2)
        },
        60,
        "ConsentWithdrawalsLate",
    ),
    "a set-up is at fault": _fault(
        {f'consent_lane_blocked{{{_W1},integration="shop"}}': "0x10 1x30"},
        20,
        "ConsentIntegrationBlocked",
    ),
    "attempts of an integration fail": _fault(
        {
            f'consent_integration_outcomes_total{{{_W1},integration="shop",outcome="retried"}}': (
                "0x10 0+3x60"
            )
        },
        30,
        "ConsentIntegrationFails",
    ),
    "a lane is full": _fault(
        {f'consent_outcomes_total{{{_W1},outcome="parked",reason="lane-full"}}': "0x10 0+3x90"},
        50,
        "ConsentLaneFull",
    ),
    "Adobe answers 503": _fault(
        {
            f'consent_adobe_replies_total{{{one},status_class="5xx"}}': "0x10 0+50x60"
            for one in (_W1, _W2)
        },
        40,
        "ConsentAdobeFails",
    ),
    "requests get no clear answer": _fault(
        {f'consent_integration_repeats_total{{{_W1},integration="shop"}}': "0x10 0+5x90"},
        60,
        "ConsentUnclearAnswers",
    ),
    "Redis is away": _fault(
        {f"consent_ordering_available{{{_W1}}}": "1x10 0x30"}, 13, "ConsentStateAway"
    ),
    "Redis has lost its data": _fault(
        {f"consent_ordering_state_lost{{{_W1}}}": "0x10 1x30"}, 12, "ConsentStateLost"
    ),
    "the stream of the receipts is away": _fault(
        {f"consent_receipts_away{{{_W1}}}": "0x10 1x30"}, 13, "ConsentReceiptsAway"
    ),
    "receipts are off": _fault(NOTHING, 30, gone="consent_receipts_away"),
    "retries come late": _fault(
        {
            f'consent_lateness_seconds_bucket{{{one},kind="retry",le="5"}}': "0+40x90"
            for one in (_W1, _W2)
        },
        40,
        "ConsentRetriesLate",
    ),
    "a queue of the delay confirms nothing": _fault(
        {f'rabbitmq_detailed_queue_messages_unacked{{{_QUEUE}"consent.delay.4s"}}': "0x10 400x60"},
        30,
        "ConsentDelayStuck",
    ),
    "a message takes workers down": _fault(
        {_SUSPECTS: "0x10 1x60"},
        20,
        "ConsentSuspect",
    ),
    "the line flaps": _fault(
        {f"consent_broker_reconnects_total{{{_W1}}}": "0x10 0+1x10 10x30"}, 20, "ConsentLineFlaps"
    ),
    "RabbitMQ is not scraped": _fault(NOTHING, 30, "ConsentQueuesUnwatched", gone="rabbitmq_"),
    "a bad file": _fault(
        {f'consent_integrations{{{_W1},state="invalid"}}': "0x10 1x30"}, 14, "ConsentFileInvalid"
    ),
    "a file is gone": _fault(
        {f'consent_integrations{{{_W1},state="vanished"}}': "0x10 1x30"}, 12, "ConsentFileGone"
    ),
    "an integration is missing": _fault(
        {f'consent_integrations{{{_W1},state="missing"}}': "0x10 1x30"},
        12,
        "ConsentIntegrationMissing",
    ),
    "a worker has another configuration": _fault(
        {
            f'consent_configuration_info{{{_W2},version="one"}}': "1x10",
            f'consent_configuration_info{{{_W2},version="two"}}': "_x10 1x60",
        },
        40,
        "ConsentConfigurationDiffers",
    ),
    "no door is ready": _fault(
        {f"consent_door_ready{{{one}}}": "1x10 0x30" for one in (_D1, _D2)},
        14,
        "ConsentDoorNotReady",
    ),
    "one door is not ready": _fault({f"consent_door_ready{{{_D1}}}": "1x10 0x30"}, 14),
    "all doors are down": _fault(
        {f"up{{{one}}}": f"1x10 0x{LONG}" for one in (_D1, _D2)},
        40,
        "ConsentDoorNotReady",
        gone="consent_door",
    ),
    "there is no door": _fault(
        {f"up{{{one}}}": "_" for one in (_D1, _D2)}, 40, gone="consent_door"
    ),
    "RabbitMQ does not confirm what a door sends": _fault(
        {_answers(_D1, "busy"): "0x10 0+40x30"}, 20, "ConsentDoorAnswers503"
    ),
    "Didomi has another secret": _fault(
        {_answers(_D2, "credentials-wrong"): "0x10 0+5x60"}, 30, "ConsentDoorRefusesCredentials"
    ),
    "events that a door received have no outcome": _fault(
        {_OVERTAKEN: "0x10 2x60", _MISSING: "0x10 2x60"}, 25, "ConsentReceivedNoOutcome"
    ),
    "a worker acknowledged events in silence": _fault(
        {_OVERTAKEN: "0x10 2x60", _MISSING: "0x10 5x60"},
        25,
        *("ConsentReceivedNoOutcome", "ConsentEventsMissing"),
    ),
    "events wait past the time that they were due": _fault(
        {_MISSING: "0x10 5x60"}, 25, "ConsentEventsMissing"
    ),
    "somebody forges receipts": _fault(
        {_findings("forged"): "3x10 4x60"}, 13, "ConsentStreamManipulated"
    ),
    "somebody has forged receipts before": _fault({_findings("forged"): "3x10 4x60"}, 40),
    "a new ledger finds that messages are cut off, before its first scrape": _fault(
        {
            f"process_start_time_seconds{{{_L2}}}": "_x30 1790x90",
            _findings("cut", _L2): "_x30 2x90",
            _findings("truncated", _L2): "_x30 1x90",
        },
        33,
        *("ConsentStreamManipulated", "ConsentStreamLost"),
    ),
    "an old ledger is scraped again": _fault(
        {
            f"process_start_time_seconds{{{_L2}}}": "_x30 -86400x90",
            _findings("cut", _L2): "_x30 2x90",
            _findings("truncated", _L2): "_x30 1x90",
        },
        33,
    ),
    "the stream was made anew": _fault(
        {_findings("recreated"): "0x10 1x60"}, 13, "ConsentStreamLost"
    ),
    "workers are killed": _fault({_findings("ended-without-end"): "0x10 0+3x60"}, 30),
    "the ledger can't be written": _fault({_UNWRITTEN: "0x10 1x30"}, 20, "ConsentLedgerStands"),
    "the ledger can't read the stream": _fault(
        {_STREAM_AWAY: "0x10 1x30"}, 20, "ConsentLedgerStands"
    ),
    "the ledger is down": _fault(
        {f"up{{{_L1}}}": f"1x10 0x{LONG}"}, 20, "ConsentLedgerStands", gone=_L1
    ),
    "there is no ledger": _fault({f"up{{{_L1}}}": "_"}, 40, gone="consent_ledger"),
    "one of two event queues lags behind": _fault(
        {
            _OVERTAKEN: "0x10 500x60",
            _ready("consent.events.2"): "0x10 9000x60",
            _unacked("consent.events.2"): "0x10 9x60",
        },
        40,
        "ConsentBacklog",
    ),
    "events wait among the suspects": _fault(
        {_OVERTAKEN: "0x10 7x60", _SUSPECTS: "0x10 9x60"}, 25, "ConsentSuspect"
    ),
    "some of the events without an outcome wait among the suspects": _fault(
        {_OVERTAKEN: "0x10 7x60", _SUSPECTS: "0x10 6x60"},
        25,
        *("ConsentSuspect", "ConsentReceivedNoOutcome"),
    ),
    "nobody can say whether a queue lags": _fault(
        {_OVERTAKEN: "0x10 2x60"},
        30,
        "ConsentReceivedNoOutcome",
        "ConsentQueuesUnwatched",
        gone="rabbitmq_",
    ),
}
