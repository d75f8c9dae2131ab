"""From which address a request to the door comes, behind proxies that are known. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

_NETWORK_BITS: Final = 64
"""Of IPv6 whoever has one address has the rest of its network, too."""
_Address = IPv4Address | IPv6Address
_Network = IPv4Network | IPv6Network


class ClientAddresses:
    """The addresses that requests come from, behind `proxies`, which are addresses and networks.
    Raises ValueError for what is neither.
    """

    def __init__(self, proxies: Iterable[str]) -> None:
        self._proxies: tuple[_Network, ...] = tuple(
            ip_network(one, strict=False) for one in proxies
        )
        self._is_proxy = lru_cache(maxsize=1024)(self._is_proxy_now)

    def of(self, peer: str, forwarded: Sequence[str]) -> str:
        """The address that the outermost known proxy saw, by the headers `X-Forwarded-For`: each
        proxy adds at the end whom it saw, and what stands before that anybody may have written.
        """
        if not forwarded or not self._is_proxy(peer):
            return peer
        seen = peer
        for one in reversed(",".join(forwarded).split(",")):
            address = _parsed(one.strip())
            if address is None:
                break  # nobody knows what stands further ahead
            seen = str(address)
            if not self._is_proxy(seen):
                break
        return seen

    def _is_proxy_now(self, text: str) -> bool:
        address = _parsed(text)
        return address is not None and any(
            address.version == one.version and address in one for one in self._proxies
        )


def holder_of(address: str) -> str:
    """Whom an address is counted for: itself, and of IPv6 its network."""
    parsed = _parsed(address) if ":" in address else None
    if not isinstance(parsed, IPv6Address):
        return address if parsed is None else str(parsed)
    return f"{int(parsed) >> _NETWORK_BITS:x}/{_NETWORK_BITS}"


def _parsed(text: str) -> _Address | None:
    """An address; one of IPv4 that is written as one of IPv6 is that of IPv4."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
