"""Where a provider account may lead: https, to public addresses, unless the installation allows a private one.

This judges what is written in the URL. Names are resolved by whoever connects, and judged again there: a name that was
public yesterday may point inwards today.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import SplitResult, urlsplit

from django.conf import settings

from metering.providers import find_provider
from tenants.errors import InvalidInput, UnsafeUpstream

URL_CHARS_MAX = 500
_INWARD_SUFFIXES = (".localhost", ".local", ".internal", ".intranet", ".lan", ".home.arpa")
_FIELD = "base_url"


def checked_base_url(url: str) -> str:
    """Return a base URL without its trailing slash.

    Raises: UnsafeUpstream for one that leads inwards, in clear text, or carries credentials; InvalidInput for no URL.
    """
    parts = _split(url)
    host = (parts.hostname or "").rstrip(".").lower()
    if parts.username is not None or parts.password is not None:
        raise UnsafeUpstream(
            _FIELD, "a base URL must not carry a user or password; give the credential as api_key"
        )
    if parts.query or parts.fragment:
        raise InvalidInput(_FIELD, "a base URL has no ?query and no #fragment")
    port = _port(parts)
    if not is_allowed_private(host, port):
        _refuse_inward(host)
        if parts.scheme != "https":
            raise UnsafeUpstream(
                _FIELD, f"{parts.scheme}://{host} would send the credential in clear text; use https"
            )
    return url.strip().rstrip("/")


def is_allowed_private(host: str, port: int) -> bool:
    """Tell whether the installation names this host and port in FAREBOX_ALLOW_PRIVATE_UPSTREAMS."""
    allowed = tuple(settings.FAREBOX_ALLOW_PRIVATE_UPSTREAMS)
    return any(entry in ("*", f"{host}:{port}", f"{host}:*") for entry in allowed)


def leads_to_private(url: str) -> bool:
    """Tell whether a checked base URL leads to an address that the installation allowed by name."""
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".").lower()
    return is_allowed_private(host, _port(parts))


def warnings_for(provider: str, dialect: str, base_url: str) -> list[str]:
    """Say what is probably a slip: an OpenAI-like base URL without its version, or another's with one."""
    has_version = _has_version(base_url)
    known = find_provider(provider)
    usual = (known.base_url or known.base_url_example) if known else ""
    if dialect == "openai" and not has_version and (not usual or _has_version(usual)):
        return [
            f"{base_url} has no version such as /v1; OpenAI-compatible servers usually need {base_url}/v1"
        ]
    if dialect in ("anthropic", "gemini") and has_version:
        return [f"{base_url} ends in a version; this dialect's client adds it by itself"]
    return []


def _has_version(url: str) -> bool:
    return any(part[:1] == "v" and part[1:2].isdigit() for part in urlsplit(url).path.split("/"))


def _split(url: str) -> SplitResult:
    text = url.strip()
    try:
        parts = urlsplit(text)
        host = parts.hostname
    except ValueError as error:
        raise InvalidInput(_FIELD, f"{text!r} is no URL: {error}") from error
    odd = len(text) > URL_CHARS_MAX or any(
        letter.isspace() or letter in "\\\x00" or ord(letter) < 32 for letter in text
    )
    if odd or not host or parts.scheme not in ("http", "https"):
        raise InvalidInput(_FIELD, f"{text[:100]!r} is no base URL such as https://api.openai.com/v1")
    return parts


def _port(parts: SplitResult) -> int:
    try:
        given = parts.port
    except ValueError as error:
        raise InvalidInput(_FIELD, f"the port is not within 1 to 65535: {error}") from error
    if given == 0:
        raise InvalidInput(_FIELD, "the port is not within 1 to 65535")
    return given or (443 if parts.scheme == "https" else 80)


def _refuse_inward(host: str) -> None:
    address = _literal(host)
    inward_name = (
        host == "localhost" or host.endswith(_INWARD_SUFFIXES) or ("." not in host and address is None)
    )
    if inward_name or (address is not None and not is_public(address)):
        raise UnsafeUpstream(
            _FIELD,
            f"{host} is a private address; the installation must allow it in FAREBOX_ALLOW_PRIVATE_UPSTREAMS",
        )


def _literal(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address a host spells out, in any form that a resolver takes: 127.1 and 0x7f000001 are loopback too."""
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return _loose_ipv4(host)


def _loose_ipv4(host: str) -> ipaddress.IPv4Address | None:
    parts = host.split(".")
    if not 1 <= len(parts) <= 4:
        return None
    numbers = [_number(part) for part in parts]
    if any(number is None for number in numbers):
        return None
    *heads, last = [number for number in numbers if number is not None]
    if any(head > 255 for head in heads) or last >= 256 ** (5 - len(parts)):
        raise UnsafeUpstream(_FIELD, f"{host} is a malformed address")
    value = sum(head << (8 * (3 - place)) for place, head in enumerate(heads)) + last
    return ipaddress.IPv4Address(value)


def _number(text: str) -> int | None:
    base = 16 if text[:2] == "0x" else 8 if len(text) > 1 and text[0] == "0" else 10
    try:
        return int(text, base)
    except ValueError:
        return None


def is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Tell whether an address is public. An embedded IPv4 one is judged: ::ffff:127.0.0.1 is loopback."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in ipaddress.ip_network("64:ff9b::/96"):
            inner = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        if inner is not None:
            return is_public(inner)
    return address.is_global and not address.is_multicast and not address.is_reserved
