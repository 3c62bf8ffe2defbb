"""Who may listen where: addresses that others reach, and TLS."""

import ssl
import subprocess
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from assistant.errors import ConfigError
from assistant.files.presets import shipped_config
from cli.serve import TOKEN, server_config
from streaming.config import Config
from streaming.config_file import load_config
from tests.streaming.server.test_app import run, serving, take


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.delenv(TOKEN, raising=False)
    return load_config(shipped_config(), "tiny")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "example.org"])
def test_an_address_that_others_reach_needs_a_token_or_a_word(
    settings: Config, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match=r"server\.host: others can reach"):
        server_config(settings, host, None, False)
    assert server_config(settings, host, None, True).host == host
    monkeypatch.setenv(TOKEN, "secret")
    token = server_config(settings, host, None, False).token
    assert token is not None
    assert token.get_secret_value() == "secret"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.0.1", "::1", "localhost"])
def test_loopback_needs_none(settings: Config, host: str) -> None:
    assert server_config(settings, host, None, False).host == host


def test_with_a_certificate_the_socket_is_encrypted(tmp_path: Path) -> None:
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
         "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-out", chain, "-keyout", key],
        check=True, capture_output=True,
    )  # fmt: skip

    @run
    async def talking() -> None:
        trusted = ssl.create_default_context(cafile=str(chain))
        async with (
            serving(certificate=str(chain), key=str(key)) as (_, host),
            connect(f"wss://{host}/v1/realtime", ssl=trusted) as socket,
        ):
            assert (await take(socket))["type"] == "session.created"

    talking()
