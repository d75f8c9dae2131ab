"""Which hosts a customer-supplied endpoint may have, checked by name and again by address."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from typing import Any, Final

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import DefaultResolver
from yarl import URL

_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class EndpointPolicy:
    """`allowed_hosts`: `name`, `name:port` or `*.domain`. `allow_insecure` is for local use."""

    allowed_hosts: tuple[str, ...]
    allow_insecure: bool = False

    def problem(self, url: str) -> str | None:
        """Why `url` may not be called, as a sentence for the person who configured it; or None."""
        try:
            parsed = URL(url)
            host, port = (parsed.host or "").lower(), parsed.port
        except ValueError:
            return "is not a URL"
        if parsed.scheme not in ("https", "http") or not host:
            return "must be an https:// URL"
        if parsed.scheme == "http" and not self.allow_insecure:
            return "must start with https:// (plain http needs CONSENT_WORKER_ALLOW_INSECURE)"
        if parsed.user or parsed.password:
            return "must not carry a user name or password"
        if not self._is_listed(host, port):
            return (
                f"host {host} is not on the allow-list CONSENT_WORKER_ALLOWED_HOSTS "
                f"({', '.join(self.allowed_hosts) or 'empty'})"
            )
        if not self.allow_insecure and _is_private_literal(host):
            return "must not be a private address"
        return None

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


def _is_private_literal(host: str) -> bool:
    try:
        return not _is_public(host)
    except ValueError:
        return host == "localhost"


def _is_public(text: str) -> bool:
    """Whether an address leads out of every private network. Raises ValueError for a name.

    An IPv6 address that stands for an IPv4 one (mapped, 6to4, NAT64) is judged as that one: a
    gateway would take the request to it.
    """
    address: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv6Address):
        of_nat64 = ipaddress.IPv4Address(address.packed[-4:]) if address in _NAT64 else None
        address = address.ipv4_mapped or address.sixtofour or of_nat64 or address
    return address.is_global and not address.is_multicast


class GuardedResolver(AbstractResolver):
    """Refuses names that resolve to an address that is not global, after resolving them.

    A check of the name alone could be turned by DNS rebinding; this one sees the address that the
    socket will be opened to.
    """

    def __init__(self, inner: AbstractResolver | None = None) -> None:
        self._inner = inner or DefaultResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        results = await self._inner.resolve(host, port, family)
        allowed = [one for one in results if _is_public(one["host"])]
        if not allowed:
            raise OSError("the host resolves to a private address, which is not allowed")
        return allowed

    async def close(self) -> None:
        await self._inner.close()


def resolver_for(policy: EndpointPolicy) -> Any:
    """The resolver of the connection pool, or None for the default one in local use."""
    return None if policy.allow_insecure else GuardedResolver()
