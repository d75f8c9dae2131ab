"""What the variables of the environment are to the settings: known, mistaken, unknown, or a link.

A mistyped variable would leave its setting at the default without a word: a fleet without Redis,
for instance. And Kubernetes makes variables for each service of a namespace, in the form of
Docker's links (its documentation, "Service: Environment variables"): those of a service that is
called `consent-worker` or `consent-worker-http` look like settings.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

PREFIX: Final = "CONSENT_WORKER_"
OF_TESTS: Final = "CONSENT_WORKER_TEST_"
"""Variables of this project's tests, which a developer's shell may have: no settings, no slips."""
MISTAKES_AT_MOST: Final = 2
"""Letters that are wrong, missing, too many, or in the wrong order, in a slip of the pen."""
_LINK_NAME: Final = re.compile(
    r".*(_SERVICE_HOST|_SERVICE_PORT(_[A-Z0-9_]+)?|_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_LINK_VALUE: Final = re.compile(r"(tcp|udp|sctp)://.*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What environment variables are to the settings. Names only, sorted: a value may be a secret.
    `mistaken` is pairs: as it is, and as meant.
    """

    mistaken: tuple[tuple[str, str], ...] = ()
    unknown: tuple[str, ...] = ()
    links: tuple[str, ...] = ()


def judge(
    environment: Mapping[str, str], known: Collection[str], secrets_prefix: str = ""
) -> Judgement:
    """Judge every environment variable by the `known` names of settings, in capitals; case does not
    count. Those that start with `secrets_prefix`, if there is one, are for integrations to name.
    """
    mistaken: list[tuple[str, str]] = []
    unknown: list[str] = []
    links: list[str] = []
    for name in sorted(environment):
        capitals = name.upper()
        if capitals.startswith(OF_TESTS):
            continue
        is_ours = capitals.startswith(PREFIX)
        if is_link(capitals, environment[name], is_setting=capitals in known):
            if is_ours:
                links.append(name)
        elif capitals in known:
            continue
        elif meant := _closest(capitals, known):
            mistaken.append((name, meant))
        elif is_ours and not (secrets_prefix and name.startswith(secrets_prefix)):
            unknown.append(name)
    return Judgement(tuple(mistaken), tuple(unknown), tuple(links))


def is_link(name: str, value: str, *, is_setting: bool = False) -> bool:
    """Whether Kubernetes made a variable for a service. A setting is one only by its value."""
    if name.endswith("_PORT") and _LINK_VALUE.fullmatch(value):
        return True
    return not is_setting and _LINK_NAME.fullmatch(name) is not None


def _closest(name: str, known: Collection[str]) -> str | None:
    """The known name that `name` is a slip of the pen from, if any."""
    found = [(mistakes_between(name, one), one) for one in known]
    mistakes, one = min(found, default=(MISTAKES_AT_MOST + 1, ""))
    return one if mistakes <= MISTAKES_AT_MOST else None


def mistakes_between(a: str, b: str) -> int:
    """Letters to add, drop, change, or swap with their neighbour, to make `b` of `a`; when they are
    more than `MISTAKES_AT_MOST`, one more than that.
    """
    too_many = MISTAKES_AT_MOST + 1
    if abs(len(a) - len(b)) > MISTAKES_AT_MOST:
        return too_many
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, letter in enumerate(a, 1):
        last, before, row = before, row, [i]
        for j, other in enumerate(b, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == b[j - 2] and a[i - 2] == other:
                cost = min(cost, last[j - 2] + 1)
            row.append(cost)
        if min(row) > MISTAKES_AT_MOST:
            return too_many
    return min(row[-1], too_many)
