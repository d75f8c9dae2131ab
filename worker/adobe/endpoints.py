"""Which hosts a customer-supplied endpoint may have, by its name. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from yarl import URL

_HOST_AS_SENT: Final = re.compile(r"[0-9a-z._:-]+")
"""A name after IDNA, or an address; of a local network names may have an underscore."""
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_GLOBAL_UNICAST: Final = ipaddress.IPv6Network("2000::/3")
_DOCUMENTATION: Final = ipaddress.IPv6Network("3fff::/20")
"""RFC 9637; Python 3.11 does not know it."""
_ISATAP: Final = (b"\x00\x00\x5e\xfe", b"\x02\x00\x5e\xfe")
"""Of the interface, before the IPv4 address (RFC 5214)."""
_RELAYS: Final = ipaddress.IPv4Network("192.88.99.0/24")
"""Those of 6to4, deprecated (RFC 7526)."""
_PROTOCOLS: Final = ipaddress.IPv4Network("192.0.0.0/24")
_PROTOCOLS_V6: Final = ipaddress.IPv6Network("2001::/23")
"""IETF protocol assignments (RFC 6890), Teredo among them. Each Python has other parts of them for
public ones, and no host of a service is there.
"""

INSECURE: Final = (
    "CONSENT_WORKER_ALLOW_INSECURE is set: a customer's endpoint may have plain http, which shows "
    "tokens and consents to the network, and may be in a private one. For local use only"
)
"""For operators, for as long as it is so."""


@dataclass(frozen=True, slots=True)
class EndpointPolicy:
    """Which endpoints may be called. `allowed_hosts`: `name`, `name:port` or `*.domain`.
    `allow_insecure` is for local use.
    """

    allowed_hosts: tuple[str, ...]
    allow_insecure: bool = False

    def problem(self, url: str) -> str | None:
        """Why `url` may not be called, as a sentence for the person who configured it; or None."""
        return _problem_of(self, url)

    def service_problem(self, url: str) -> str | None:
        """Why a URL of the operator's settings may not be called; it need not be on the list."""
        return self.problem_by(url, lambda host, port: None)

    def problem_by(self, url: str, of_host: Callable[[str, int | None], str | None]) -> str | None:
        """As `problem`, with the judgement `of_host` in place of the list."""
        try:
            parsed = URL(url)
            host, port = (parsed.host or "").lower(), parsed.port
        except ValueError:
            return "is not a URL"
        if parsed.scheme not in ("https", "http") or not host:
            return "must be an https:// URL"
        if not _HOST_AS_SENT.fullmatch((parsed.raw_host or "").lower()):
            return "has a host with characters that no host name has"
        if parsed.scheme == "http" and not self.allow_insecure:
            return "must start with https:// (plain http needs CONSENT_WORKER_ALLOW_INSECURE)"
        if parsed.user or parsed.password:
            return "must not carry a user name or password"
        if problem := of_host(host, port):
            return problem
        if not self.allow_insecure and _is_private_literal(host):
            return "must not be a private address"
        return None

    def list_problem(self, host: str, port: int | None) -> str | None:
        """Why a host is not on the list, or None."""
        if self._is_listed(host, port):
            return None
        listed = ", ".join(self.allowed_hosts) or "empty"
        return f"host {host} is not on the allow-list CONSENT_WORKER_ALLOWED_HOSTS ({listed})"

    def _is_listed(self, host: str, port: int | None) -> bool:
        usual_port = port == 443 or self.allow_insecure
        for allowed in self.allowed_hosts:
            if f"{host}:{port}" == allowed:
                return True
            if usual_port and (
                host == allowed or (allowed.startswith("*.") and host.endswith(allowed[1:]))
            ):
                return True
        return False


@lru_cache(maxsize=4096)  # asked before each request
def _problem_of(policy: EndpointPolicy, url: str) -> str | None:
    return policy.problem_by(url, policy.list_problem)


def _is_private_literal(host: str) -> bool:
    try:
        return not is_public(host)
    except ValueError:
        name = host.rstrip(".")
        return name == "localhost" or name.endswith(".localhost")


def is_public(text: str) -> bool:
    """Whether an address leads out of every private network. Raises ValueError for a name.

    An IPv6 address that stands for an IPv4 one (mapped, 6to4, NAT64, ISATAP) is judged as that one:
    a gateway would take the request to it. Of all others only global unicast (2000::/3, RFC 4291)
    is public. So are not: IPv4-compatible and site-local addresses, a network's own NAT64
    (64:ff9b:1::/48, RFC 8215), what IETF protocols have, and what documentation uses.
    """
    address: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv6Address):
        stands_for = address.ipv4_mapped or address.sixtofour
        if address in _NAT64 or address.packed[8:12] in _ISATAP:
            stands_for = ipaddress.IPv4Address(address.packed[-4:])
        if stands_for is None:
            is_unicast = address in _GLOBAL_UNICAST and address not in _DOCUMENTATION
            return is_unicast and address not in _PROTOCOLS_V6 and address.is_global
        address = stands_for
    is_unicast = address.is_global and not address.is_multicast
    return is_unicast and address not in _RELAYS and address not in _PROTOCOLS
