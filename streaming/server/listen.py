"""The server's sockets and its certificate, which are ready before a model is loaded."""

import errno
import os
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from assistant.errors import ConfigError
from streaming.config import ServerConfig

BACKLOG = 100
"""Most connections that wait to be accepted, for example while the model is loaded."""

DESCRIPTORS = 2**16
"""Limit of open files, which is more than enough; a higher limit is kept."""

_NOT_HERE = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)
"""Errors that mean that this machine lacks one of a name's addresses, which is then left out."""


@dataclass(frozen=True, slots=True)
class Listening:
    """Listening sockets, one for each address of the host; a context manager that closes them."""

    sockets: list[socket.socket]
    tls: ssl.SSLContext | None
    """TLS settings; None: connections are not encrypted."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for sock in self.sockets:
            sock.close()


def more_descriptors() -> None:
    """Raise the limit of open files and sockets as far as allowed: each connection needs one, and
    systemd allows 1,024 at first. Systems without such limits are left alone."""
    try:
        import resource
    except ImportError:  # Windows
        return
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if most == resource.RLIM_INFINITY else min(most, DESCRIPTORS)
    if now != resource.RLIM_INFINITY and now < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def listen(config: ServerConfig) -> Listening:
    """Read the certificate, and listen at all addresses of the host.

    Connections wait until the server accepts them. With port 0, all addresses get the port that the
    first one was given.

    Raises:
        ConfigError: a key of the configuration is wrong; the message names it and says why.
    """
    tls = _tls(config)
    return Listening(_listening(config), tls)


def _listening(config: ServerConfig) -> list[socket.socket]:
    try:
        found = socket.getaddrinfo(
            config.host or None, config.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, ValueError) as error:  # ValueError: no name at all, such as one with a NUL
        raise ConfigError(f"server.host: {config.host!r}: {_why(error)}") from error
    sockets: list[socket.socket] = []
    port = config.port
    missing: OSError | None = None
    for family, _, _, _, address in dict.fromkeys(found):
        try:
            sockets.append(_bound(family, (address[0], port, *address[2:])))
        except OSError as error:
            if error.errno in _NOT_HERE:
                missing = error
                continue
            for sock in sockets:
                sock.close()
            raise ConfigError(f"server.port: {port} at {config.host}: {_why(error)}") from error
        port = sockets[0].getsockname()[1]
    if not sockets:
        raise ConfigError(f"server.host: {config.host}: {_why(missing)}") from missing
    return sockets


def _bound(family: int, address: tuple[object, ...]) -> socket.socket:
    """A bound socket, made as asyncio makes it, but before there is an event loop."""
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":  # elsewhere it would let two servers have one port
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def _tls(config: ServerConfig) -> ssl.SSLContext | None:
    if config.certificate is None or config.key is None:
        return None
    for name, file in (("certificate", config.certificate), ("key", config.key)):
        _check_readable(f"server.{name}", Path(file))
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(config.certificate)
    except ssl.SSLError as error:
        raise ConfigError(
            f"server.certificate: {config.certificate}: not a certificate in PEM ({_why(error)})"
        ) from error
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        tls.load_cert_chain(config.certificate, config.key, password=_no_password)
    except _Encrypted as error:
        raise ConfigError(f"server.key: {config.key}: encrypted; decrypt it first") from error
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"server.key: {config.key}: not the private key, in PEM, of {config.certificate} "
            f"({_why(error)})"
        ) from error
    return tls


def _check_readable(key: str, path: Path) -> None:
    try:
        if path.exists() and not path.is_file():
            raise ConfigError(f"{key}: {path}: not a file")
        path.open("rb").close()
    except (OSError, ValueError) as error:
        raise ConfigError(f"{key}: {path}: {_why(error)}") from error


class _Encrypted(Exception):
    """The private key needs a passphrase."""


def _no_password() -> str:
    """Raises _Encrypted; otherwise OpenSSL would ask for a passphrase on the terminal."""
    raise _Encrypted


def _why(error: Exception | None) -> str:
    """An error in a few words."""
    match error:
        case ssl.SSLError(reason=str(reason)):
            return reason.lower().replace("_", " ")
        case OSError(strerror=str(reason)):
            return reason
    return str(error)
