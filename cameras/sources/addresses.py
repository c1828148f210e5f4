"""Which addresses a camera may have: allowed schemes per kind, and the policy for internal hosts."""

import ipaddress
import re
import socket
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import SplitResult, quote, unquote, urlsplit

from cameras.sources.contract import SourceKind
from cameras.sources.errors import AddressRefused, NameNotFound

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

SCHEMES: dict[SourceKind, tuple[str, ...]] = {
    SourceKind.RTSP: ("rtsp", "rtsps"),
    SourceKind.HTTP: ("http", "https"),
    SourceKind.MJPEG: ("http", "https"),
}
DEFAULT_PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
MAX_LENGTH = 2000
MASK = "***"

# Where clouds answer with the secrets of the machine: AWS, GCP, Azure, Oracle, OpenStack, Alibaba.
METADATA_ADDRESSES = frozenset(
    ipaddress.ip_address(address)
    for address in (
        "169.254.169.254",
        "169.254.169.253",
        "169.254.169.123",
        "169.254.170.2",
        "169.254.170.23",
        "168.63.129.16",
        "100.100.100.200",
        "192.0.0.192",
        "fd00:ec2::254",
        "fd00:ec2::253",
        "fd00:ec2::123",
        "fd00:ec2::23",
        "fd20:ce::254",
    )
)
METADATA_NAMES = frozenset(
    {"metadata", "metadata.google.internal", "instance-data", "instance-data.ec2.internal"}
)
LOOPBACK_NAMES = frozenset({"localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback"})
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

_UNSAFE = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029\\<>\"`{}|^]")
_NUMBER_LIKE = re.compile(r"(?:0[xX][0-9a-fA-F]*|[0-9]+)(?:\.(?:0[xX][0-9a-fA-F]*|[0-9]+))*")
_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_](?:[a-z0-9_-]{0,62})(?:\.[a-z0-9_][a-z0-9_-]{0,62})*")


def validate_address(
    kind: SourceKind, address: str, *, allow_loopback: bool = False, folders: Sequence[Path] = ()
) -> str:
    """The address in its normal form; raises AddressRefused with a sentence that says what to change.

    Names are not resolved here: `check_resolved` does that when the camera is read.
    """
    if kind == SourceKind.FILES:
        return str(validate_path(address, folders))
    if not address or len(address) > MAX_LENGTH:
        raise AddressRefused(f"Write an address of 1 to {MAX_LENGTH} characters.")
    if _UNSAFE.search(address):
        raise AddressRefused(
            "The address holds spaces, line breaks or characters that addresses cannot have."
        )
    parts = _split(address)
    schemes = SCHEMES[kind]
    if parts.scheme.lower() not in schemes or not address[len(parts.scheme) :].startswith("://"):
        raise AddressRefused(f"The address must begin with {' or '.join(f'{s}://' for s in schemes)}.")
    if parts.username is not None or parts.password is not None:
        raise AddressRefused("Write user name and password into their own fields, not into the address.")
    if "#" in address:
        raise AddressRefused("The address holds a '#': write it as %23.")
    host = normalise_host(parts.hostname or "", allow_loopback=allow_loopback)
    port = _read_port(parts)
    where = f"[{host}]" if ":" in host else host
    where += f":{port}" if port is not None else ""
    path = quote(parts.path, safe="/%:@!$&'()*+,;=~-._[]")
    query = f"?{quote(parts.query, safe='/%:@!$&()*+,;=~-._?[]' + chr(39))}" if parts.query else ""
    return f"{parts.scheme.lower()}://{where}{path}{query}"


def validate_path(address: str, folders: Sequence[Path]) -> Path:
    """The absolute path with links resolved, if it lies in one of the folders; raises AddressRefused."""
    if (
        not address
        or len(address) > MAX_LENGTH
        or any(ord(letter) < 32 or ord(letter) == 127 for letter in address)
    ):
        raise AddressRefused("Write the path of a file or folder, in one line.")
    path = Path(address)
    if not path.is_absolute():
        raise AddressRefused("Write the whole path, beginning with '/'.")
    try:
        resolved = path.resolve()
        roots = [folder.resolve() for folder in folders]
    except (OSError, RuntimeError):
        raise AddressRefused("The path cannot be followed.") from None
    if not any(resolved.is_relative_to(root) for root in roots):
        raise AddressRefused(
            "The path lies outside of the folders that the administrator allows for pictures."
        )
    return resolved


def split_credentials(address: str) -> tuple[str, str, str]:
    """(address without login, user name, password), for forms into which whole addresses are pasted.

    The login ends at the last '@' before the path, so that passwords with '@' come out right; one with a '/'
    must be percent-encoded as the standard wants (RFC 3986, 3.2.1).
    """
    scheme, mark, rest = address.partition("://")
    if not mark:
        return address, "", ""
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    login, at, host = authority.rpartition("@")
    if not at:
        return address, "", ""
    username, _, password = login.partition(":")
    return f"{scheme}://{host}{rest[len(authority) :]}", unquote(username), unquote(password)


def mask_query(address: str) -> str:
    """The address with the values of its query hidden: many cameras take their password there."""
    path, mark, query = address.partition("?")
    if not mark or "://" not in path:
        return address
    fields = re.split(r"([&;])", query)
    return path + mark + "".join(_mask_field(field) for field in fields)


def _mask_field(field: str) -> str:
    name, mark, value = field.partition("=")
    if mark:
        return f"{name}={MASK}" if value else field
    return field if field in {"", "&", ";"} else MASK  # without a name it may be anything


def host_and_port(address: str) -> tuple[str, int]:
    """Host (no brackets) and port of a valid network address."""
    parts = _split(address)
    return parts.hostname or "", _read_port(parts) or DEFAULT_PORTS[parts.scheme.lower()]


def normalise_host(host: str, *, allow_loopback: bool) -> str:
    """The host in small letters, ASCII, without a trailing dot; raises AddressRefused."""
    host = host.rstrip(".").lower()
    if not host:
        raise AddressRefused("The address names no host.")
    if ":" in host or _NUMBER_LIKE.fullmatch(host):
        return _normalise_number(host, allow_loopback=allow_loopback)
    try:
        name = host.encode("idna").decode("ascii") if not host.isascii() else host
    except UnicodeError:
        raise AddressRefused("The host name is not valid.") from None
    if _NUMBER_LIKE.fullmatch(name):  # digits of other scripts become plain ones
        return _normalise_number(name, allow_loopback=allow_loopback)
    if not _NAME.fullmatch(name):
        raise AddressRefused("The host name is not valid.")
    if name in METADATA_NAMES:
        raise AddressRefused("This host gives away the machine's own secrets and is never a camera.")
    if (name in LOOPBACK_NAMES or name.endswith(".localhost")) and not allow_loopback:
        raise AddressRefused("The address points to this machine itself, which is not allowed.")
    return name


def check_ip(address: str, *, allow_loopback: bool) -> None:
    """Raises AddressRefused for an IP address that no camera may have."""
    ip = unwrap(ipaddress.ip_address(address.partition("%")[0]))
    if ip in METADATA_ADDRESSES:
        raise AddressRefused("This host gives away the machine's own secrets and is never a camera.")
    if ip.is_multicast or ip.is_unspecified or ip in _NEVER_V4:
        raise AddressRefused("The address is none that a camera can have.")
    if ip.is_loopback and not allow_loopback:
        raise AddressRefused("The address points to this machine itself, which is not allowed.")
    if ip.is_link_local and not allow_loopback:
        raise AddressRefused("Link-local addresses are not allowed: give the camera an address of its own.")


def check_resolved(host: str, port: int, *, allow_loopback: bool) -> list[str]:
    """The IP addresses of a host, each allowed; raises NameNotFound, AddressRefused. May block on DNS.

    The sources connect to the very addresses returned here, so that a name cannot change its mind between
    check and connection (DNS rebinding). What remains: an RTSP camera's redirect and the address that it
    names for UDP are followed by FFmpeg without this check, with RTSP and RTP only.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        found = []
    if not found:
        raise NameNotFound
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for address in addresses:
        check_ip(address, allow_loopback=allow_loopback)
    return addresses


class _NetworkSet:
    """Networks with `in`, for addresses of either version."""

    def __init__(self, *networks: str) -> None:
        self._networks = [ipaddress.ip_network(network) for network in networks]

    def __contains__(self, ip: IpAddress) -> bool:
        return any(ip.version == network.version and ip in network for network in self._networks)


_NEVER_V4 = _NetworkSet("0.0.0.0/8", "240.0.0.0/4")


def unwrap(ip: IpAddress) -> IpAddress:
    """The IPv4 address inside of mapped, compatible, NAT64 and 6to4 forms."""
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    if ip.sixtofour is not None:
        return ip.sixtofour
    if ip in _NAT64 or (int(ip) >> 32 == 0 and int(ip) > 1):
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip


def _normalise_number(host: str, *, allow_loopback: bool) -> str:
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        # 2130706433, 0x7f.1 and 0177.0.0.1 are all 127.0.0.1 to the system, and 010 is 8: nobody means that.
        raise AddressRefused(
            "Write the IP address as four plain decimal numbers, or a whole IPv6 address."
        ) from None
    if isinstance(ip, ipaddress.IPv6Address) and ip.scope_id:
        raise AddressRefused("Link-local addresses are not allowed: give the camera an address of its own.")
    check_ip(str(ip), allow_loopback=allow_loopback)
    return str(ip)


def _split(address: str) -> SplitResult:
    try:
        return urlsplit(address)
    except ValueError:
        raise AddressRefused("The address cannot be read.") from None


def _read_port(parts: SplitResult) -> int | None:
    try:
        port = parts.port
    except ValueError:
        raise AddressRefused("The port must be a number from 1 to 65535.") from None
    if port == 0:
        raise AddressRefused("The port must be a number from 1 to 65535.")
    return port
