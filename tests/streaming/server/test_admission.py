"""Who may connect, by what a request says: pure rules."""

import pytest
from pydantic import SecretStr

from streaming.config import ServerConfig
from streaming.server.admission import Admission
from streaming.server.http import RefusedError, Request


def request(version: str = "1.1", **headers: str) -> Request:
    given = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return Request("GET", "/v1/realtime", version, tuple(given))


def refused(config: ServerConfig, check: str, asked: Request) -> str | None:
    try:
        getattr(Admission(config), check)(asked)
    except RefusedError as error:
        return error.why
    return None


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("localhost", None), ("localhost:8765", None), ("LOCALHOST:1", None), ("a.localhost", None),
        ("127.0.0.1:8765", None), ("[::1]:8765", None), ("192.168.1.5", None), ("10.1.1.1:9", None),
        ("assistant.lan", None), ("Assistant.LAN:443", None), ("mine.example", None),
        ("evil.example", "host"), ("evil:8765", "host"), ("localhost.evil.example", "host"),
        ("127.0.0.1.evil.example", "host"), ("", "host"), (":80", "host"), ("[", "host"),
        ("localhost:x", "host"), ("user@localhost", None),
    ],
)  # fmt: skip
def test_hosts(host: str, why: str | None) -> None:
    config = ServerConfig(host="mine.example", hosts=["assistant.lan"])
    assert refused(config, "check", request(host=host)) == why


def test_only_http_1_0_may_lack_a_host() -> None:
    assert refused(ServerConfig(), "check", request("1.0")) is None
    assert refused(ServerConfig(), "check", request("1.1")) == "host"


@pytest.mark.parametrize(
    ("scheme", "host", "origin", "why"),
    [
        ("http", "localhost:8765", "http://localhost:8765", None),
        ("http", "localhost:8765", "https://localhost:8765", "origin"),
        ("http", "localhost:8765", "http://localhost:8766", "origin"),
        ("http", "localhost:8765", "http://127.0.0.1:8765", "origin"),
        ("http", "localhost", "http://localhost:80", None),
        ("https", "localhost:443", "https://localhost", None),
        ("https", "localhost", "https://localhost:443", None),
        ("https", "localhost:443", "http://localhost", "origin"),
        ("http", "localhost", "null", "origin"),
        ("http", "localhost", "tauri://localhost", "origin"),
        ("http", "localhost", "", "origin"),
        ("http", "localhost", "http://[", "origin"),
        ("http", "localhost", "https://friend.example", None),
    ],
)
def test_origins(scheme: str, host: str, origin: str, why: str | None) -> None:
    tls = {"certificate": "c.pem", "key": "k.pem"} if scheme == "https" else {}
    config = ServerConfig.model_validate({"origins": ["https://friend.example"], **tls})
    assert refused(config, "check_origin", request(host=host, origin=origin)) == why


TOKEN = "s3cr3t/AbC+dEf=="


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ({"authorization": f"Bearer {TOKEN}"}, None),
        ({"authorization": f"bearer {TOKEN}"}, None),
        ({"authorization": f"BEARER   {TOKEN} "}, None),
        ({"authorization": TOKEN}, "token"),
        ({"authorization": f"Basic {TOKEN}"}, "token"),
        ({"authorization": f"Bearer {TOKEN}x"}, "token"),
        ({"authorization": f"Bearer {TOKEN[:-1]}"}, "token"),
        ({"authorization": f"Bearer {TOKEN.upper()}"}, "token"),
        ({"authorization": "Bearer \udcc3\udca9"}, "token"),
        ({"sec_websocket_protocol": f"realtime, openai-insecure-api-key.{TOKEN}"}, None),
        ({"sec_websocket_protocol": TOKEN}, "token"),
        ({}, "token"),
    ],
)
def test_tokens(headers: dict[str, str], why: str | None) -> None:
    config = ServerConfig(token=SecretStr(TOKEN))
    assert refused(config, "check_token", request(**headers)) == why
    assert refused(ServerConfig(), "check_token", request(**headers)) is None


@pytest.mark.parametrize("name", ["host", "origin", "authorization"])
def test_what_stands_twice_is_no_request(name: str) -> None:
    twice = Request("GET", "/", "1.1", ((name, "localhost"), (name, "localhost")))
    checks = {"host": "check", "origin": "check_origin", "authorization": "check_token"}
    assert refused(ServerConfig(token=SecretStr("t")), checks[name], twice) == "header"
