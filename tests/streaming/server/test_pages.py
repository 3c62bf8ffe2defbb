"""The page that the server shows lies with the clients, and is all that lies there."""

import re
from http import HTTPStatus
from pathlib import Path

import pytest

from streaming.server.http import RefusedError, Reply, Request
from streaming.server.pages import Pages

BROWSER = Path(__file__).parents[3] / "clients" / "browser"
FILES = sorted(p.relative_to(BROWSER).as_posix() for p in BROWSER.rglob("*") if p.is_file())


def get(target: str) -> Reply:
    return Pages("tiny", lambda: b"").answer(Request("GET", target, "1.1", ()), ready=True)


@pytest.mark.parametrize("name", FILES)
def test_every_file_of_the_page_is_served_as_it_is(name: str) -> None:
    reply = get(f"/{name}")
    assert (reply.status, reply.body) == (HTTPStatus.OK, (BROWSER / name).read_bytes())


def test_the_page_is_at_the_root() -> None:
    assert get("/").body == (BROWSER / "index.html").read_bytes()


def test_the_page_asks_for_all_its_files_and_no_others() -> None:
    text = "".join((BROWSER / name).read_text() for name in FILES)
    asked = re.findall(r'(?:src="|href="|from "\./|addModule\(")([\w./]+)"', text)
    assert {"index.html", *asked} == set(FILES)


@pytest.mark.parametrize("target", ["/realtime.py", "/../realtime.py", "/browser", "/examples"])
def test_nothing_beside_the_page_is_served(target: str) -> None:
    with pytest.raises(RefusedError):
        get(target)
