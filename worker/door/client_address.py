"""From which address a request to the door comes, behind proxies that are known. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network

from worker.serving.address_holders import parsed_address

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
            address = parsed_address(one.strip())
            if address is None:
                break  # nobody knows what stands further ahead
            seen = str(address)
            if not self._is_proxy(seen):
                break
        return seen

    def _is_proxy_now(self, text: str) -> bool:
        address = parsed_address(text)
        return address is not None and any(
            address.version == one.version and address in one for one in self._proxies
        )
