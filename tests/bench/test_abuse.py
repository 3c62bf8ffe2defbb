"""What `bench.abuse` does is bounded, and what it tells is so."""

import logging
import shutil
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from assistant.files.presets import shipped_config
from assistant.model import load
from bench.abuse import ALL, listed, markdown, serving, settings, tell
from bench.abuses import Limits
from bench.bodies import BODIES, asked, broken
from bench.handshakes import (
    exchange,
    foreign_requests,
    handshake,
    rebinding_requests,
    requests_with_secrets,
    status,
)
from bench.server_log import pieces_of, summary
from bench.sessions import WITHIN
from bench.spoiled import MARKER
from bench.target import self_signed
from streaming.config import ServerConfig
from streaming.config_file import load_config
from streaming.server.app import running
from streaming.server.assistant import Assistant
from streaming.server.build import build_assistant
from streaming.server.listen import listen
from tests.streaming.server.test_app import fake, run
from tests.streaming.server.test_app import serving as server

QUICK_S = 0.4
LONG_S = {"recordings of 28 s, taken over": 2.0}
"""Seconds of what takes long to prepare."""

NEVER = {"cut", "never over", "taken twice", "unanswered", "bodies after HEAD",
         "let in by a wrong one"}  # fmt: skip
"""What is counted and must not be."""


def port_of(host: str) -> int:
    return int(host.rsplit(":", 1)[1])


ROW: dict[str, Any] = {
    "abuse": "a",
    "sent": 12_345,
    "alive": True,
    "besides": {"cut": 0, "MB": 1_000},
}


def test_a_table_for_documents_has_a_line_for_each_row() -> None:
    assert markdown([ROW]).splitlines() == [
        "| abuse | sent | besides |",
        "| --- | --- | --- |",
        "| a | 12,345 | cut: 0, MB: 1,000 |",
    ]


def test_terminals_of_80_columns_show_every_figure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    tell([{**ROW, "abuse": name} for name in ALL])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    for name in ALL:
        assert sum(line.startswith(f"│ {name} ") for line in lines) == 1 + len(ROW["besides"])
    assert listed({}) == ""


@pytest.mark.parametrize("name", [None, *ALL])
def test_every_server_can_be_configured(name: str | None, tmp_path: Path) -> None:
    kind = serving(name)
    if "tls" in kind and shutil.which("openssl") is None:
        pytest.skip("no openssl")
    file = tmp_path / "config.yaml"
    file.write_text(settings(kind, tmp_path) + "preset: tiny\n")
    config = load_config(file).server
    token = config.token
    assert (None if token is None else token.get_secret_value()) == kind.get("token")
    assert (config.certificate is not None) == ("tls" in kind)


async def abused(name: str, port: int, **more: Any) -> Counter[str]:
    """A short while of it."""
    count: Counter[str] = Counter()
    until = time.monotonic() + LONG_S.get(name, QUICK_S)
    await ALL[name].run(Limits(port, until, 100, **more), count)
    return count


@pytest.fixture(scope="module")
def tiny() -> Assistant:
    config = load_config(shipped_config(), "tiny")
    return build_assistant(load(config.model), config, "Listen.")


@pytest.mark.parametrize("name", WITHIN)
def test_what_is_allowed_within_a_session_ends_none(name: str, tiny: Assistant) -> None:
    @run
    async def test() -> None:
        async with server(tiny, sessions=16) as (_, host):
            count = await abused(name, port_of(host))
        assert count["sent"] > 0
        assert not {what for what in NEVER if count[what]}

    test()


def test_questions_over_the_context_are_told_so(tiny: Assistant) -> None:
    @run
    async def test() -> None:
        async with server(tiny, sessions=16) as (_, host):
            count = await abused("questions over the context", port_of(host))
        assert count["told so"] == 5 * count["sessions"]
        assert count["answered after it"] == count["sessions"] > 0

    test()


@pytest.mark.parametrize("name", ["plain GETs at the socket", "other hosts, methods, versions"])
def test_every_request_is_answered(name: str) -> None:
    @run
    async def test() -> None:
        async with server(sessions=16) as (_, host):
            count = await abused(name, port_of(host))
        assert count["sent"] > 0
        assert not {what for what in NEVER if count[what]}
        assert count["let in"] == count["websockets"] == count["came back"]  # none of the others

    test()


def test_what_is_right_over_http_is_answered_and_nothing_else(tiny: Assistant) -> None:
    @run
    async def test() -> None:
        async with server(tiny) as (_, host):
            port = port_of(host)
            for sent in broken():
                assert status(await exchange(port, sent)) >= 400
            for sent in asked():
                assert status(await exchange(port, sent, 20.0)) == 200
            for name in BODIES:
                count = await abused(name, port)
                assert count["sent"] > 0
                assert count["taken for right"] == 0

    test()


@run
async def test_wrong_tokens_do_not_keep_right_ones_out() -> None:
    async with server(sessions=16, token="right") as (_, host):
        count = await abused("wrong tokens", port_of(host), token="right")
    assert count["refused"] == count["answered 401"] > 0
    assert count["let in by a wrong one"] == 0
    assert count["let in"] == count["right tokens"] > 0


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl")
def test_broken_tls_leaves_lines_of_ours_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    self_signed(tmp_path)
    files = {name: str(tmp_path / f"{name}.pem") for name in ("certificate", "key")}

    @run
    async def test() -> None:
        with listen(ServerConfig(port=0, **files)) as listening:  # type: ignore[arg-type]
            port = listening.sockets[0].getsockname()[1]
            async with running(fake(), ServerConfig(port=0, **files), listening):  # type: ignore[arg-type]
                assert (await abused("broken TLS", port))["sent"] > 0

    with caplog.at_level(logging.INFO):
        test()
    assert_ours(caplog)


def assert_ours(caplog: pytest.LogCaptureFixture) -> None:
    form = logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    log = "".join(form.format(r) + "\n" for r in caplog.records if r.name != "asyncio").encode()
    found = summary(log)
    assert found.lines > 0
    assert (found.strange, found.controls, found.tracebacks) == ((), 0, 0)
    assert pieces_of(MARKER.encode(), log) == 0


def test_secrets_in_requests_that_are_wrong_are_never_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    @run
    async def test() -> None:
        async with server(sessions=100) as (_, host):
            for sent in requests_with_secrets():
                assert status(await exchange(port_of(host), sent)) > 0
            assert (await abused("unfinished handshakes, secrets", port_of(host)))["gone"] > 0

    with caplog.at_level(logging.INFO):
        test()
    assert_ours(caplog)


@run
async def test_other_software_is_answered_and_other_pages_have_no_session() -> None:
    async with server(sessions=100) as (_, host):
        for sent in foreign_requests():
            assert 0 < status(await exchange(port_of(host), sent)) != 101, sent
        for sent in rebinding_requests():
            assert status(await exchange(port_of(host), sent)) >= 400, sent
        good = handshake(f"Origin: http://{host}", host=host)
        assert status(await exchange(port_of(host), good)) == 101
