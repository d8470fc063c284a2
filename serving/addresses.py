"""Addresses of hosts: which are on the public internet, and which a name has. Knows no URL, connects to none."""

import ipaddress
import socket
import threading
from concurrent.futures import Future

GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")  # all that IANA has handed out of IPv6
NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address
# What `is_global` of Python 3.11 lets pass. Source: IANA's registries of special-purpose addresses.
REFUSED_NETWORKS = tuple(
    ipaddress.ip_network(network)
    for network in (
        "168.63.129.16/32",  # Azure's host, the same from inside every machine there
        "192.0.0.0/24",  # protocol assignments; 192.0.0.192 is Oracle's metadata service
        "192.88.99.0/24",  # relays of 6to4, withdrawn by RFC 7526
        "224.0.0.0/4",  # multicast
        "2001::/23",  # protocol assignments, Teredo among them
        "3fff::/20",  # documentation, RFC 9637
    )
)


class AddressRefused(ValueError):
    """A host that has an address outside the public internet. The text names the host, never what it resolves to."""


def is_public(address: str) -> bool:
    """Whether an IP address, as text, can be routed on the public internet.

    False for loopback, private, link-local, shared, multicast, reserved and unspecified addresses and for cloud
    metadata; an IPv4 address inside an IPv6 one (mapped, 6to4, NAT64) counts as itself. ValueError for no address.
    """
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        if (inner := _ipv4_within(ip)) is not None:
            return is_public(str(inner))
        if ip.scope_id is not None or ip not in GLOBAL_UNICAST:
            return False
    return ip.is_global and not any(ip in network for network in REFUSED_NETWORKS)


def _ipv4_within(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if ip in NAT64:
        return ipaddress.IPv4Address(ip.packed[-4:])
    return ip.ipv4_mapped or ip.sixtofour


def resolve(host: str, port: int, *, allow_private: bool, seconds: float) -> list[str]:
    """The addresses of a host, as text, at least one.

    Raises AddressRefused when one of them is not public, unless allow_private; OSError when the name has none, and
    its child TimeoutError when the answer takes longer than `seconds`.
    """
    try:
        addresses = _look_up(host, port, seconds)
    except UnicodeError as error:  # a label is empty, or longer than 63 characters
        raise socket.gaierror(socket.EAI_NONAME, "no host name") from error
    if not allow_private and not all(map(is_public, addresses)):
        raise AddressRefused(f"the host {host!r} is not on the public internet")
    return addresses


def _look_up(host: str, port: int, seconds: float) -> list[str]:
    """The system's resolver cannot be interrupted, so it works in a thread that is left behind when it is late."""
    answer: Future[list[str]] = Future()

    def ask() -> None:
        try:
            answer.set_result([str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)])
        except Exception as error:  # raised again where the answer is awaited
            answer.set_exception(error)

    threading.Thread(target=ask, daemon=True, name="look-up").start()
    return answer.result(timeout=seconds)
