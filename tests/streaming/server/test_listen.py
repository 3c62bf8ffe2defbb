"""Sockets and certificates: what is wrong with them is one line, before anything else is done."""

import asyncio
import os
import resource
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from assistant.errors import ConfigError
from streaming.config import ServerConfig
from streaming.server.app import running
from streaming.server.listen import DESCRIPTORS, listen, more_descriptors
from tests.streaming.server.test_app import client, fake, run, take


def refused(**keys: object) -> str:
    with pytest.raises(ConfigError) as error, listen(ServerConfig(**{"port": 0, **keys})):  # type: ignore[arg-type]
        pass
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.fixture
def taken() -> Iterator[int]:
    """A port of loopback that somebody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


def test_a_port_in_use(taken: int) -> None:
    told = refused(port=taken)
    assert told == f"server.port: {taken} at 127.0.0.1: Address already in use"
    assert refused(host="localhost", port=taken).startswith(f"server.port: {taken} at localhost: ")


def test_a_port_is_taken_as_soon_as_it_is_listened_at() -> None:
    with listen(ServerConfig(port=0)) as one:
        port = one.sockets[0].getsockname()[1]
        assert "in use" in refused(port=port)
    with listen(ServerConfig(port=port)):
        pass  # and free at once when it is left


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("192.0.2.1", "Cannot assign requested address"),
        ("no.such.host.invalid", "name|failure"),
        ("a\0b", "name|failure|null"),
        ("x" * 300, "label|name"),
        ("127.0.0.1\n", "name|failure"),
    ],
)
def test_an_address_that_is_not_ours(host: str, why: str) -> None:
    told = refused(host=host)
    assert told.startswith("server.host: ")
    assert any(word.lower() in told.lower() for word in why.split("|")), told


def test_all_addresses_of_a_name_get_one_port(monkeypatch: pytest.MonkeyPatch) -> None:
    two = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{n}", 0)) for n in (1, 2)]
    strange = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [*two, *strange, two[0]])
    with listen(ServerConfig(host="localhost", port=0)) as listening:
        names = [sock.getsockname() for sock in listening.sockets]
    assert [host for host, _ in names] == ["127.0.0.1", "127.0.0.2"]
    assert names[0][1] == names[1][1] != 0


@run
async def test_a_server_answers_at_each_of_its_sockets() -> None:
    config = ServerConfig(port=0)
    with listen(config) as listening, listen(config) as other:
        listening.sockets.append(other.sockets[0])
        async with running(fake(), config, listening) as (_, server):
            assert next(iter(server.sockets)).getsockname() == listening.sockets[0].getsockname()
            for sock in listening.sockets:
                async with client(f"127.0.0.1:{sock.getsockname()[1]}") as connection:
                    assert (await take(connection))["type"] == "session.created"


@run
async def test_who_connects_while_the_model_is_loaded_is_served_after_it() -> None:
    config = ServerConfig(port=0)
    with listen(config) as listening:
        url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/healthz"
        asked = asyncio.create_task(asyncio.to_thread(lambda: urllib.request.urlopen(url).status))
        await asyncio.sleep(0.05)  # the model is loaded
        async with running(fake(), config, listening):
            assert await asked == 200


# --- TLS


@pytest.fixture(scope="module")
def pems(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """chain.pem and key.pem; other.pem, of another one; secret.pem, the key encrypted; key.der."""
    folder = tmp_path_factory.mktemp("tls")

    def openssl(*words: object) -> None:
        subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, cwd=folder)

    for chain, key in (("chain.pem", "key.pem"), ("other-chain.pem", "other.pem")):
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", 2, "-subj",
                "/CN=localhost", "-out", chain, "-keyout", key)  # fmt: skip
    openssl("rsa", "-aes128", "-passout", "pass:word", "-in", "key.pem", "-out", "secret.pem")
    openssl("rsa", "-in", "key.pem", "-outform", "DER", "-out", "key.der")
    openssl("x509", "-in", "chain.pem", "-outform", "DER", "-out", "chain.der")
    for name in ("chain", "key"):
        text = (folder / f"{name}.pem").read_bytes()
        (folder / f"{name}-cut.pem").write_bytes(text[: len(text) // 2])
    (folder / "empty.pem").touch()
    (folder / "folder.pem").mkdir()
    os.mkfifo(folder / "fifo.pem")
    return folder


def test_a_certificate_and_its_key_are_taken(pems: Path) -> None:
    keys = {"certificate": str(pems / "chain.pem"), "key": str(pems / "key.pem")}
    with listen(ServerConfig.model_validate({"port": 0, **keys})) as listening:
        assert listening.tls is not None


@pytest.mark.parametrize(
    ("certificate", "key", "wrong", "why"),
    [
        ("none.pem", "key.pem", "certificate", "No such file"),
        ("empty.pem", "key.pem", "certificate", "not a certificate in PEM"),
        ("chain-cut.pem", "key.pem", "certificate", "not a certificate in PEM"),
        ("chain.der", "key.pem", "certificate", "not a certificate in PEM"),
        ("key.pem", "chain.pem", "certificate", "not a certificate in PEM"),
        ("folder.pem", "key.pem", "certificate", "not a file"),
        ("fifo.pem", "key.pem", "certificate", "not a file"),
        ("chain.pem\0", "key.pem", "certificate", "null"),
        ("chain.pem", "none.pem", "key", "No such file"),
        ("chain.pem", "empty.pem", "key", "not the private key"),
        ("chain.pem", "key-cut.pem", "key", "not the private key"),
        ("chain.pem", "key.der", "key", "not the private key"),
        ("chain.pem", "chain.pem", "key", "not the private key"),
        ("chain.pem", "other.pem", "key", "key values mismatch"),
        ("chain.pem", "folder.pem", "key", "not a file"),
        ("chain.pem", "secret.pem", "key", "encrypted"),
    ],
)
def test_what_is_wrong_with_a_certificate_names_key_and_file(
    pems: Path, certificate: str, key: str, wrong: str, why: str
) -> None:
    told = refused(certificate=str(pems / certificate), key=str(pems / key))
    named = pems / {"certificate": certificate, "key": key}[wrong]
    assert told.startswith(f"server.{wrong}: {named}: ")
    assert why in told


def test_a_message_of_1e308_megabytes_is_an_error() -> None:
    with pytest.raises(ValueError, match="message_mb"):
        ServerConfig(message_mb=1e308)


def test_the_limit_of_open_files_is_raised_and_never_lowered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unlimited = resource.RLIM_INFINITY
    for now, most, wanted in [
        (1024, 4096, 4096), (1024, unlimited, DESCRIPTORS), (1024, 2**20, DESCRIPTORS),
        (4096, 4096, None), (2**20, 2**20, None), (unlimited, unlimited, None),
    ]:  # fmt: skip
        told: list[tuple[int, int]] = []
        monkeypatch.setattr(resource, "getrlimit", lambda _, pair=(now, most): pair)
        monkeypatch.setattr(resource, "setrlimit", lambda _, pair, told=told: told.append(pair))
        more_descriptors()
        assert told == ([] if wanted is None else [(wanted, most)])
