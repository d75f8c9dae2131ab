"""Sessions in the console: a signed cookie says which role its holder has, until when."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from hashlib import sha256
from typing import Any, Final, NamedTuple, Protocol

from itsdangerous import BadSignature, URLSafeSerializer

from worker.console.access import Role, role_named

SESSION_SECONDS: Final = 8 * 3600
"""A shift."""
PROXY_SESSION: Final = "proxy:"
"""How the id of a session begins that a proxy tells."""
_LEAD_MS: Final = 60_000
"""A session of further ahead was made by a clock that is off, and counts for nothing."""
_MOST_COOKIE_CHARACTERS: Final = 1024


class Session(NamedTuple):
    """Who makes a request to the console. `name` is "" for a key, of which nobody knows who holds
    it; `id` is that of one browser, or of one person behind a proxy. `issued_ms` is in ms since
    1970.
    """

    role: Role
    name: str
    id: str
    issued_ms: int

    @property
    def is_of_proxy(self) -> bool:
        """Whether a trusted proxy says who it is; no cookie's id has a colon."""
        return self.id.startswith(PROXY_SESSION)

    @property
    def who(self) -> str:
        """Who a session is of, as the trail and the pages call them."""
        return f"{self.name}, {self.role.word}" if self.name else self.role.word


class EndedSessions(Protocol):
    """Where it is kept who has signed out of the console; see `ConsoleMemory`."""

    def end_session(self, session_id: str, issued_ms: int, oldest_ms: int) -> None: ...
    def is_ended(self, session_id: str) -> bool: ...


class Sessions:
    """Makes and reads the cookies of sessions. With another `secret` none of before is valid."""

    def __init__(self, secret: bytes, now_ms: Callable[[], int], ended: EndedSessions) -> None:
        self._serializer = URLSafeSerializer(
            secret, salt="consent-console-session", signer_kwargs={"digest_method": sha256}
        )
        self._now_ms = now_ms
        self._ended = ended

    def begin(self, role: Role) -> tuple[Session, str]:
        """A new session, and the cookie for it."""
        session = Session(role, "", secrets.token_urlsafe(16), self._now_ms())
        said = {"role": role.word, "id": session.id, "at": session.issued_ms}
        return session, str(self._serializer.dumps(said))

    def read(self, cookie: str) -> Session | None:
        """The session of a cookie; None for one that is forged, expired or ended."""
        if len(cookie) > _MOST_COOKIE_CHARACTERS or not cookie.isascii():
            return None
        try:
            said: Any = self._serializer.loads(cookie)
        except BadSignature:
            return None
        role = role_named(said["role"])
        age_ms = self._now_ms() - said["at"]
        if role is None or self._ended.is_ended(said["id"]):
            return None
        if not -_LEAD_MS <= age_ms <= SESSION_SECONDS * 1000:
            return None
        return Session(role, "", said["id"], said["at"])

    def end(self, session: Session) -> None:
        """End a session: a copy of its cookie is worth nothing from now on."""
        oldest = self._now_ms() - SESSION_SECONDS * 1000
        self._ended.end_session(session.id, session.issued_ms, oldest)
