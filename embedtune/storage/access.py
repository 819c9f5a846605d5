"""What the addresses in someone's data may open: folders, buckets and hosts on a list, nothing else."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from embedtune.errors import StorageError
from embedtune.storage.locations import Location, Scheme, parse_location

ROOT_VARIABLE = "EMBEDTUNE_DATA_ROOT"
"""Environment variable with a folder below which addresses in data may open files, beside the data's own folder."""

BUCKETS_VARIABLE = "EMBEDTUNE_ALLOWED_BUCKETS"
"""Environment variable with the buckets that addresses in data may open, separated by commas, as `bucket` or
`bucket/prefix` of either store, or `s3://bucket` or `minio://bucket/prefix` of one, beside the data's own prefix."""

HOSTS_VARIABLE = "EMBEDTUNE_ALLOWED_HOSTS"
"""Environment variable with the hosts that may be read from, separated by commas, as `host` or `host:port`; with
`=private` at its end, the host may have a private address."""

_PRIVATE = "=private"
_PORTS = {"http": 80, "https": 443}
# Gateways for IPv6-only networks carry these on to the IPv4 address in their last 32 bits (RFC 6052).
_NAT64 = IPv6Network("64:ff9b::/96")
# Some releases of Python take these for public: protocol assignments (RFC 6890), 6to4 relays (RFC 7526), and
# documentation (RFC 9637).
_NOT_PUBLIC = (IPv4Network("192.0.0.0/24"), IPv4Network("192.88.99.0/24"), IPv6Network("3fff::/20"))


class ForbiddenError(StorageError):
    """An address that may not be opened."""


@dataclass(frozen=True)
class AccessRules:
    """What addresses in one source's data may open."""

    roots: tuple[Path, ...]
    """Folders; files below them may be read, after links are followed."""
    buckets: tuple[str, ...]
    """See BUCKETS_VARIABLE."""
    hosts: tuple[str, ...]
    """See HOSTS_VARIABLE."""

    @classmethod
    def from_environment(cls, origin: str) -> "AccessRules":
        """Return the rules for the contents that a source's data names.

        Args:
            origin: Address of the source: a file, whose folder or prefix is allowed then, or a folder or prefix itself;
                remote ones end with a slash.

        Raises:
            StorageError: `origin` is not an address.
        """
        location = parse_location(origin)
        given_root, buckets = os.environ.get(ROOT_VARIABLE, ""), _entries(BUCKETS_VARIABLE)
        roots = [Path(given_root)] if given_root else []
        if location.scheme is Scheme.FILE:
            folder = location.path if location.path.is_dir() else location.path.parent
            # A file right at the top of the disk must not open all of it.
            if folder.resolve() != Path(folder.resolve().anchor):
                roots.insert(0, folder)
        if location.scheme is Scheme.S3:
            prefix = location.key if location.is_folder else location.key.rpartition("/")[0]
            # Nor must one at the top of a bucket.
            if prefix:
                buckets = (f"{location.bucket_uri}/{prefix}", *buckets)
        return cls(tuple(roots), buckets, allowed_hosts())

    def check(self, location: Location) -> None:
        """Refuse an address that may not be opened. A host's numeric address is checked when it is connected to."""
        if location.scheme is Scheme.FILE:
            self.permitted_path(str(location.path), location.uri)
        elif location.scheme is Scheme.S3:
            bare, address = f"{location.bucket}/{location.key}", f"{location.bucket_uri}/{location.key}"
            if not any(
                each.startswith(f"{allowed.strip('/')}/") for allowed in self.buckets for each in (bare, address)
            ):
                raise ForbiddenError(
                    f"{location.uri} may not be opened: it is not below the data's own prefix; data right at the top "
                    "of a bucket has none. Move the data below a prefix together with what it names, or, to allow the "
                    f"whole bucket, add {location.bucket} to the variable {BUCKETS_VARIABLE} in the environment."
                )
        elif location.scheme is Scheme.HTTP:
            check_host(location.uri, self.hosts)
        else:
            raise ForbiddenError(f"{location.uri} may not be opened: it names a data set, not a content.")

    def permitted_path(self, path: str, uri: str) -> str:
        """Return the path of a local file, called `uri` in messages, with all links followed; or a ForbiddenError."""
        # Strings, because this is done for many contents and pathlib takes ten times as long.
        real = os.path.realpath(path)
        if not self.permits(real):
            raise ForbiddenError(
                f"{uri} may not be opened: it is not below the data's own folder. To allow another folder, "
                f"set the variable {ROOT_VARIABLE} in the environment."
            )
        return real

    def permits(self, real: str) -> bool:
        """Tell whether a path without links lies below one of the roots; a folder ends with a slash."""
        return real.startswith(self._real_roots)

    @cached_property
    def _real_roots(self) -> tuple[str, ...]:
        return tuple(os.path.join(os.path.realpath(root), "") for root in self.roots)


def allowed_hosts() -> tuple[str, ...]:
    """Return the hosts that the environment allows."""
    return _entries(HOSTS_VARIABLE)


def check_host(uri: str, hosts: Sequence[str]) -> bool:
    """Check that a web address is on a list of hosts; an entry without port means the usual one of the scheme.

    Returns whether the host may have a private address: its entry says so, or is `localhost` or a numeric address.
    """
    parts = urlsplit(uri)
    host = f"[{parts.hostname}]" if ":" in str(parts.hostname) else str(parts.hostname)
    default, port = _PORTS[parts.scheme], web_port(parts)
    names = {f"{host}:{port}"} | ({host} if port == default else set())
    for entry in (entry.lower() for entry in hosts):
        if entry.removesuffix(_PRIVATE) in names:
            return entry.endswith(_PRIVATE) or host == "localhost" or _is_numeric(host)
    name = host if port == default else f"{host}:{port}"
    raise ForbiddenError(
        f"Reading from the web server {name} is not allowed. Add {name} to the variable {HOSTS_VARIABLE} (with "
        "commas between) in the environment, or copy the data to the object store and give its s3:// address."
    )


def web_port(parts: SplitResult) -> int:
    """Return the port of an http(s) address, which is the usual one of its scheme if it names none."""
    return _PORTS[parts.scheme] if parts.port is None else parts.port


def check_address(host: str, address: str) -> None:
    """Refuse a host's numeric address that is not a public one, or stands for one that is not; it may have a zone."""
    if not all(_is_public(one) for one in _meanings(address)):
        raise ForbiddenError(
            f"The web server {host} has the private or special address {address}, which is not allowed. If that is "
            f"meant, write {host}{_PRIVATE} (with the port, if any, before '=') in the variable {HOSTS_VARIABLE}."
        )


def _meanings(address: str) -> list[IPv4Address | IPv6Address]:
    """Return an address and the IPv4 addresses that it carries inside."""
    ip = ip_address(address.partition("%")[0])
    if isinstance(ip, IPv4Address):
        return [ip]
    if ip in _NAT64 or ip.ipv4_mapped is not None:
        return [IPv4Address(int(ip) & 0xFFFFFFFF)]
    inner = (ip.sixtofour, *(ip.teredo or ()))
    return [ip, *(one for one in inner if one is not None)]


def _is_public(ip: IPv4Address | IPv6Address) -> bool:
    is_site_local = isinstance(ip, IPv6Address) and ip.is_site_local
    is_special = ip.is_multicast or ip.is_reserved or ip.is_link_local or is_site_local
    return ip.is_global and not is_special and not any(ip in network for network in _NOT_PUBLIC)


def _is_numeric(host: str) -> bool:
    try:
        ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return False
    return True


def _entries(variable: str) -> tuple[str, ...]:
    return tuple(entry.strip() for entry in os.environ.get(variable, "").split(",") if entry.strip())
