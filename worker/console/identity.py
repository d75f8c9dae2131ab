"""Who a request to the console is from: a trusted proxy says it, or the cookie of a session."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections.abc import Callable, Mapping
from typing import Final

from aiohttp import web

from worker.console.access import Role, role_named
from worker.console.sessions import PROXY_SESSION, SESSION_SECONDS, Session, Sessions
from worker.redaction import shown_name
from worker.settings.console import ConsoleSettings

_LOCAL_HOSTS: Final = ("localhost", "127.0.0.1", "::1")
_COOKIE: Final = "consent-console"
_SECURE_COOKIE: Final = "__Host-consent-console"
"""A browser takes a cookie of such a name by HTTPS alone, and from this very host."""


class MisleadingProxy(Exception):
    """The trusted proxy says something that is no role and name; the text says what it must."""


def role_of_key(settings: ConsoleSettings, key: str) -> Role | None:
    """The console's role whose key this is. Takes as long for a wrong key as for a right one."""
    found = None
    given = hashlib.sha256(key.encode(errors="surrogatepass")).digest()
    for role, secret in keys_of(settings).items():
        if hmac.compare_digest(hashlib.sha256(secret.encode()).digest(), given):
            found = role
    return found


def keys_of(settings: ConsoleSettings) -> Mapping[Role, str]:
    """The keys of the console's roles, as far as they are set."""
    keys = {
        Role.VIEWER: settings.console_viewer_key,
        Role.OPERATOR: settings.console_operator_key,
        Role.REVEALER: settings.console_revealer_key,
    }
    return {role: key.get_secret_value() for role, key in keys.items() if key.get_secret_value()}


class Identity:
    """Tells who a request is from, and keeps the cookie by which a browser is known."""

    def __init__(
        self, settings: ConsoleSettings, sessions: Sessions, now_ms: Callable[[], int]
    ) -> None:
        self._settings = settings
        self._sessions = sessions
        self._now_ms = now_ms

    def of(self, request: web.Request) -> Session | None:
        """The session of a request; None for nobody. Raises `MisleadingProxy`."""
        settings = self._settings
        if settings.console_proxy_address and address_of(request) == settings.console_proxy_address:
            said = request.headers.getall(settings.console_proxy_header, [])
            if said:
                return self._of_proxy(said)
        cookie = request.cookies.get(_cookie_name(request))
        return None if cookie is None else self._sessions.read(cookie)

    def begin(self, request: web.Request, response: web.Response, role: Role) -> None:
        """The browser that gets this response is signed in to the console from now on."""
        _, cookie = self._sessions.begin(role)
        response.set_cookie(
            _cookie_name(request),
            cookie,
            max_age=SESSION_SECONDS,
            path="/",
            httponly=True,
            samesite="Strict",
            secure=_is_secure(request),
        )

    def end(self, request: web.Request, response: web.Response) -> None:
        """The browser that gets this response is signed out of the console."""
        name = _cookie_name(request)
        session = self._sessions.read(request.cookies.get(name, ""))
        if session is not None:
            self._sessions.end(session)
        response.del_cookie(
            name, path="/", httponly=True, samesite="Strict", secure=_is_secure(request)
        )

    def _of_proxy(self, said: list[str]) -> Session:
        word, _, name = said[0].strip().partition(" ")
        role = role_named(word)
        if len(said) > 1 or role is None or (name and shown_name(name) is None):
            raise MisleadingProxy(
                f"the proxy's header {self._settings.console_proxy_header} must be once there, and "
                "say viewer, operator or revealer, and then perhaps a space and a short name of "
                "letters, digits, dots and hyphens"
            )
        return Session(role, name, f"{PROXY_SESSION}{role.word}:{name}", self._now_ms())


def address_of(request: web.Request) -> str:
    """The address that a request came from; IPv4 is written as such, whatever the socket is."""
    try:
        address = ipaddress.ip_address(request.remote or "")
    except ValueError:
        return request.remote or ""
    return str(getattr(address, "ipv4_mapped", None) or address)


def keeps_no_cookie(request: web.Request) -> bool:
    """Whether a browser will drop the session's cookie, since it came by HTTP from elsewhere."""
    return not (_is_https(request) or _is_local(request))


def _cookie_name(request: web.Request) -> str:
    return _SECURE_COOKIE if _is_secure(request) else _COOKIE


def _is_secure(request: web.Request) -> bool:
    """Whether the session's cookie goes by HTTPS alone. A proxy may keep the browser's host to
    itself, and ask by the console's own; that it took HTTPS it may be believed, whoever it is,
    since who says so falsely gets a cookie of less use.
    """
    return _is_https(request) or not _is_local(request)


def _is_https(request: web.Request) -> bool:
    said = request.headers.get("X-Forwarded-Proto", "").partition(",")[0]
    return "https" in (request.scheme, said.strip().lower())


def _is_local(request: web.Request) -> bool:
    """Whether the browser reached the console by a name of its own machine, where HTTP will do."""
    try:
        return request.url.host in _LOCAL_HOSTS
    except ValueError:  # anybody may write anything as the host, and it is no name of this machine
        return False
