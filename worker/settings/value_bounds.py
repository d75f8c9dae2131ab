"""What bounds the values of several settings, and what is raised for one that can't be used."""

from __future__ import annotations

import re
from typing import Final

from yarl import URL

from worker.errors import WrongUse


class UnusableSetting(WrongUse, ValueError):
    """A setting can't be used; the text names it and not its value."""


LONGEST_SECONDS: Final = 10 * 365 * 86_400.0
"""Of any duration: ten years."""


def check_ends(text: str) -> None:
    """Raises ValueError for text that begins or ends with what nobody sees, such as the line break
    of the file that it was made of: who shows the same without it would be refused.
    """
    for end in (text[:1], text[-1:]):
        if end.isspace() or not end.isprintable():
            raise ValueError(
                "must not begin or end with a space, a line break or another character that is not "
                "seen, since it would match nothing; a file that it was made of may end with one"
            )


def check_scheme(text: str, *schemes: str, others: tuple[str, ...] = ()) -> None:
    """Raises ValueError for a setting that does not begin like a URL of one of `schemes`; `others`
    might have been meant, too.
    """
    starts = [f"{scheme}://" for scheme in schemes]
    if not text.startswith(tuple(starts)):
        raise ValueError(f"must start with {' or '.join((*starts, *others))}")


def check_url(text: str, *schemes: str, others: tuple[str, ...] = ()) -> None:
    """Raises ValueError for a setting that is no URL of one of `schemes` that names a host;
    `others` might have been meant, too.
    """
    check_scheme(text, *schemes, others=others)
    try:
        host = URL(text).host
    except ValueError:
        host = None
    if not host or _is_cut_in_a_password(text):
        raise ValueError(
            "must be a URL with a host; characters such as #, / and @ in a password are "
            "written percent-encoded"
        )


def _is_cut_in_a_password(url: str) -> bool:
    """Whether what is read as the host may be a part of the credentials, which a character of a
    password has ended: a host is told in the log.
    """
    rest = url.partition("://")[2]
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    path, _, query = rest.removeprefix(authority).partition("?")
    return "#" in rest or "@" in query or ("@" in path and "@" not in authority)
