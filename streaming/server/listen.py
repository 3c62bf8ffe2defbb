"""Where the server listens: its sockets and its certificate, ready before a model is loaded."""

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
"""Connections that wait to be taken, while the model is loaded or all are busy."""

DESCRIPTORS = 2**16
"""Open files that are more than enough; a limit that is higher stays."""

_NOT_HERE = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)
"""Why one of a name's addresses may be left out: this machine has no such address."""


@dataclass(frozen=True, slots=True)
class Listening:
    """Sockets that listen, one for each address of the host; closed when it is left."""

    sockets: list[socket.socket]
    tls: ssl.SSLContext | None
    """None: nothing is encrypted."""

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
    """Let this process open as many files and sockets as it may: a connection needs one each, and
    systemd gives 1,024 to begin with. Where there are no such limits, nothing is done."""
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

    Who connects is kept waiting until somebody takes the connections. With port 0 all addresses
    get the port that the first one is given.

    Raises:
        ConfigError: the key that is wrong, and why.
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
    """As asyncio does it, but before there is a loop."""
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
    """A key needs a passphrase."""


def _no_password() -> str:
    """OpenSSL would ask for one on the terminal, where nobody may sit."""
    raise _Encrypted


def _why(error: Exception | None) -> str:
    """An error in a few words."""
    match error:
        case ssl.SSLError(reason=str(reason)):
            return reason.lower().replace("_", " ")
        case OSError(strerror=str(reason)):
            return reason
    return str(error)
