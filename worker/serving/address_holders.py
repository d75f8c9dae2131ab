"""Whom connections and attempts of an address are counted for. Pure."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

Address = IPv4Address | IPv6Address
_NETWORK_BITS: Final = 64
"""Of IPv6 whoever has one address has the rest of its network, too."""


def holder_of(address: str) -> str:
    """Whom an address is counted for: itself, and of IPv6 its network."""
    parsed = parsed_address(address) if ":" in address else None
    if not isinstance(parsed, IPv6Address):
        return address if parsed is None else str(parsed)
    return f"{int(parsed) >> _NETWORK_BITS:x}/{_NETWORK_BITS}"


def parsed_address(text: str) -> Address | None:
    """An address; one of IPv4 that is written as one of IPv6 is that of IPv4."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
