"""Forms of addresses: IP addresses and blocks of them, as Kubernetes 1.36 takes them (strict, no leading zeros)."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

from orchestra.apiserver.validation.fields import Errors, invalid

_NOT_AN_IP = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
_NOT_A_CIDR = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
_LEADING_ZEROS = re.compile(r"(?<![0-9])0+(?=[0-9])")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
REMEMBERED_ADDRESSES = 4096


def parse_ip(value: str) -> Address | None:
    """Return the address, also of a spelling with leading zeros, or None."""
    try:
        return ipaddress.ip_address(value)
    except ValueError:
        pass
    if ":" in value or not value.isascii():
        return None
    try:
        return ipaddress.IPv4Address(_LEADING_ZEROS.sub("", value))
    except ValueError:
        return None


@lru_cache(REMEMBERED_ADDRESSES)
def ip_address(value: str) -> tuple[str, ...]:
    """IPv4 or IPv6 address."""
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return ("must not have leading 0s",) if parse_ip(value) else (_NOT_AN_IP,)
    if "%" in value:
        return (_NOT_AN_IP,)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return ("must not be an IPv4-mapped IPv6 address",)
    return ()


@lru_cache(REMEMBERED_ADDRESSES)
def cidr(value: str) -> tuple[str, ...]:
    """Block of addresses in CIDR notation, with no bits set beyond the prefix."""
    address, slash, bits = value.partition("/")
    parsed = parse_ip(address)
    if not slash or parsed is None or not bits.isdecimal() or int(bits) > parsed.max_prefixlen:
        return (_NOT_A_CIDR,)
    if ip_address(address) == ("must not have leading 0s",) or (bits != "0" and bits.startswith("0")):
        return ("must not have leading 0s in IP or prefix length",)
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped:
        return ("must not have an IPv4-mapped IPv6 address",)
    if ipaddress.ip_network(f"{parsed}/{bits}", strict=False).network_address != parsed:
        return ("must not have bits set beyond the prefix length",)
    return ()


def is_ipv6(value: str) -> bool:
    """Say whether an address or block is of IPv6."""
    return ":" in value


def check_not_special(value: str, path: str, errors: Errors, *, loopback: bool = False) -> None:
    """Append the faults of an address that traffic cannot be sent to; `loopback` allows 127.0.0.0/8 and ::1."""
    address = parse_ip(value)
    if address is None:
        errors.append(invalid(path, value, "must be a valid IP address"))
        return
    if address.is_unspecified:
        errors.append(invalid(path, value, f"may not be unspecified ({value})"))
    if address.is_loopback and not loopback:
        errors.append(invalid(path, value, "may not be in the loopback range (127.0.0.0/8, ::1/128)"))
    if address.is_link_local:
        errors.append(invalid(path, value, "may not be in the link-local range (169.254.0.0/16, fe80::/10)"))
    if _is_link_local_multicast(address):
        detail = "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"
        errors.append(invalid(path, value, detail))


def _is_link_local_multicast(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv4Address):
        return address in ipaddress.IPv4Network("224.0.0.0/24")
    return address.packed[0] == 0xFF and address.packed[1] & 0x0F == 0x02
