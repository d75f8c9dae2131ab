"""What is kept beside a stamp, as one text: who said the choice, and what it was, sealed.

A text says of which stamp it is, so that one that was left behind by a worker of the version before
says nothing. `aCHECK+DIDOMI_USER.SOURCE`: a digest of the stamp; `-` in place of `+` for a choice
that is taken back; the digest of a Didomi user, or empty; and the source, where it is kept, sealed,
or nothing after the dot where it could not be kept.

Sources are personal data. They are sealed with AES-256-GCM under a key of each user, which is made
of the ordering secret and the user's digest; path and stamp are bound to it.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import orjson
import structlog

from worker.ordering.stamp import Said, Stamp
from worker.ordering.user_digests import both_digests, marks_of, shown_user

log = structlog.get_logger(__name__)

LONGEST_TEXT_BYTES: Final = 1_048_576
"""`LONGEST_TEXT_BYTES` of begin.lua: what is longer was not written by us."""
_TEXT: Final = re.compile(r"a([A-Za-z0-9_-]{8})([+-])([A-Za-z0-9_-]{22})?(?:\.([A-Za-z0-9_=-]*))?")
_CHECK_BYTES: Final = 6
_NOT_KEPT: Final = "."


class Seals:
    """Seals the sources of choices with one secret, and opens with that and the `previous` one.
    Without a secret, as in the memory of one process, a source is kept as it is.
    """

    def __init__(self, secret: bytes = b"", previous: bytes | None = None) -> None:
        self._marks = marks_of(secret, previous)
        both = [secret] if previous in (None, secret) else [secret, previous or b""]
        self._masters = [hashlib.blake2b(one).digest() if one else b"" for one in both]
        self._sealing: Callable[[bytes, str], _Seal] | None = None
        if any(both):
            # Before there are events, which it would keep waiting. A worker without a secret does
            # without the library, and is megabytes smaller.
            from worker.ordering.user_seal import AesSeal  # noqa: PLC0415

            self._sealing = AesSeal

    def texts(
        self, user: str, stamps: Mapping[str, Stamp], said: Mapping[str, Said]
    ) -> dict[str, str]:
        """Path → the text beside the stamp of that path. A source that can't be kept counts as
        unreadable.
        """
        seal = self._seal(self._masters[0], both_digests(user)[0])
        texts = {path: _written(seal, path, stamps[path], one) for path, one in said.items()}
        if any(text.endswith(_NOT_KEPT) for text in texts.values()):
            log.error(
                "ordering.value_not_kept",
                user=shown_user(user, self._marks),
                detail="what was said is nested too deeply or too long to be kept, and counts as "
                "unknown",
            )
        return texts

    def said(
        self, user: str, stamps: Mapping[str, Stamp], texts: Mapping[str, str]
    ) -> dict[str, Said]:
        """Path → what the text beside its stamp says, of texts that belong to the stamp that
        stands, or can't be read.
        """
        seals = [
            self._seal(master, digest)
            for master, digest in zip(self._masters, both_digests(user), strict=False)
        ]
        said: dict[str, Said] = {}
        is_unreadable = False
        for path, text in texts.items():
            if path in stamps and (found := _read(seals, path, stamps[path], text)) is not None:
                said[path] = found
                is_unreadable = is_unreadable or found.is_unreadable
        if is_unreadable:
            log.error(
                "ordering.unreadable_value",
                user=shown_user(user, self._marks),
                detail="what was chosen counts as unknown: it could not be kept, is damaged, or is "
                "kept with a secret that is neither the present nor the previous one",
            )
        return said

    def _seal(self, master: bytes, digest: str) -> _Seal:
        """That of one user. `master` is empty where there is no secret."""
        return self._sealing(master, digest) if self._sealing and master else _Plain()


class _Seal(Protocol):
    """That of one user; what it closes opens with the same `bound` alone."""

    def close(self, plain: bytes, bound: bytes) -> bytes: ...

    def open(self, sealed: bytes, bound: bytes) -> bytes:
        """Raises ValueError."""
        ...


class _Plain:
    """Keeps what is said as it is, where there is no secret."""

    def close(self, plain: bytes, bound: bytes) -> bytes:
        return plain

    def open(self, sealed: bytes, bound: bytes) -> bytes:
        return sealed


def _written(seal: _Seal, path: str, stamp: Stamp, said: Said) -> str:
    told = stamp.encode()
    who = f"a{_check(told)}{'-' if said.is_taken_back else '+'}{said.didomi_user}"
    if said.source is None:
        # Who comes after us is not to take for nothing what we could not read.
        return who + _NOT_KEPT if said.is_unreadable else who
    try:
        plain = orjson.dumps(said.source)
    except orjson.JSONEncodeError:
        return who + _NOT_KEPT
    sealed = seal.close(plain, _bound(path, told))
    text = f"{who}.{urlsafe_b64encode(sealed).decode()}"
    return text if len(text) <= LONGEST_TEXT_BYTES else who + _NOT_KEPT


def _read(seals: list[_Seal], path: str, stamp: Stamp, text: str) -> Said | None:
    """What a text of that stamp says; None of another stamp's."""
    found = _TEXT.fullmatch(text)
    if found is None:
        return Said(is_unreadable=True)
    told = stamp.encode()
    if found[1] != _check(told):
        return None
    sealed = found[4]
    source = None if sealed is None else _source(seals, sealed, _bound(path, told))
    is_unreadable = sealed is not None and source is None
    return Said(found[3] or "", found[2] == "-", source, is_unreadable)


def _source(seals: list[_Seal], text: str, bound: bytes) -> list[Any] | None:
    for seal in seals:
        try:
            source = orjson.loads(seal.open(b64decode(text, b"-_", validate=True), bound))
        except ValueError:
            continue
        match source:
            case [str() | None, _, bool()]:
                return list(source)
    return None


def _check(told: str) -> str:
    digest = hashlib.blake2b(told.encode(errors="surrogatepass"), digest_size=_CHECK_BYTES)
    return urlsafe_b64encode(digest.digest()).decode()


def _bound(path: str, told: str) -> bytes:
    # A path has no control character.
    return f"{path}\0{told}".encode(errors="surrogatepass")
