"""The page in a real browser: the connection is lost, refused, busy, and comes back."""

import json
from pathlib import Path
from typing import Any

from playwright.async_api import Page

from tests.clients.browser import DENIED, Server, browsing, opened, page, run, state, tones
from tests.clients.on_the_page import accessible, asked, more_answers, turn, type_in
from tests.streaming.server.test_app import fake, serving


@run
async def test_a_connection_that_drops_comes_back(folder: Path) -> None:
    serve = serving(fake(), resume_s=300)
    async with serve as (_, host), page(host, *tones(folder)) as it:
        await it.click("#start")
        await it.wait_for_selector(".they:has-text('I heard')")
        await it.evaluate("cut = true; salmonn.drop()")
        await state(it, "Connection lost, trying again …")
        before = await it.locator(".they").count()
        await it.evaluate("cut = false")
        await it.wait_for_selector(".note:text-is('Connected again, nothing was lost.')")
        await more_answers(it, before)


@run
async def test_a_session_that_the_server_forgot_is_begun_anew(folder: Path) -> None:
    async with serving(fake(), resume_s=0.01) as (_, host), page(host, *tones(folder)) as it:
        await it.click("#start")
        await it.wait_for_selector(".they:has-text('I heard')")
        await it.evaluate("cut = true; salmonn.drop()")
        await state(it, "Connection lost, trying again …")
        await it.wait_for_timeout(500)
        await it.evaluate("cut = false")
        await it.wait_for_selector(".note:has-text('A new session')")
        await more_answers(it, await it.locator(".they").count())


@run
async def test_a_session_that_has_lasted_long_enough_is_followed_by_another(folder: Path) -> None:
    serve = serving(fake(), session_minutes=0.1)
    async with serve as (_, host), page(host, *tones(folder)) as it:
        await it.click("#start")
        await it.wait_for_selector(
            ".note:text-is('This session ends in 1 s; a new one begins then.')"
        )
        await it.wait_for_selector(
            ".note:text-is('A new session: what was heard before is forgotten.')"
        )
        assert await it.is_hidden("#problem")
        assert "Connection lost" not in (await it.text_content("#announce") or "")
        await more_answers(it, await it.locator(".they").count())


@run
async def test_what_a_session_left_unfinished_is_shown_as_such(folder: Path) -> None:
    async with serving(fake()) as (_, host), page(host, *DENIED) as it:
        server = Server(it)
        await server.begin()
        await server.say("salmonn.session_expires", seconds_left=60)
        soon = "This session ends in a minute; a new one begins then."
        assert await it.locator(".note").last.inner_text() == soon
        await type_in(it, "First?")
        first = await asked(server)
        await server.created("resp_1", first)
        await server.answers("resp_1", "An answ")
        await type_in(it, "Second?")
        await server.speech("item_1")
        await server.say("error", error={"code": "session_expired", "message": "It is over."})
        await it.evaluate("wire.onclose({ code: 1001, reason: 'It is over.' })")
        await server.say("session.created", session={"id": "sess_2", "model": "scripted"})
        assert await it.locator(".they.cut:text-is('An answ')").count() == 1
        assert await it.locator(".live, .waits").count() == 0
        await state(it, "No microphone")
        await ask_anew(it, server)


async def ask_anew(it: Page, server: Server) -> None:
    """A question in a session that was begun anew."""
    await server.took()
    await type_in(it, "Third?")
    third = await asked(server)
    await server.created("resp_9", third)
    await server.answers("resp_9", "An answer.")
    assert await it.inner_text(f"{turn('Third?')} .they") == "An answer."


@run
async def test_a_server_that_is_gone_is_told(folder: Path) -> None:
    async with serving(fake()) as (_, host), page(host, *DENIED) as it:
        await it.evaluate("cut = true")
        await it.route("**/v1/realtime", lambda route: route.abort())
        await it.click("#start")
        await it.wait_for_selector("#problem:text-is('The server cannot be reached.')")
        await state(it, "Not connected")
        assert await it.text_content("#start") == "Start"


@run
async def test_a_busy_server_says_so_and_lets_one_in_later(folder: Path) -> None:
    async with (
        serving(fake(), sessions=1, resume_s=0.01) as (_, host),
        browsing(DENIED) as browser,
        opened(browser, host) as first,
        opened(browser, host) as second,
    ):
        await first.click("#start")
        await state(first, "No microphone")
        await second.click("#start")
        await state(second, "Server busy, waiting …")
        await second.wait_for_selector("#problem:has-text('All sessions are taken')")
        await accessible(second)
        await first.click("#start")
        await state(second, "No microphone")


@run
async def test_a_server_with_a_token_asks_for_it(folder: Path) -> None:
    async with serving(fake(), token="right") as (_, host), page(host, *DENIED) as it:
        await it.click("#start")
        await it.wait_for_selector("#problem:has-text('asks for a token')")
        await accessible(it)
        for token, told in (("wrong", "A token is needed"), ("a b", "can send only letters")):
            await it.fill("#token", token)
            await it.press("#token", "Enter")
            await it.wait_for_selector(f"#problem:has-text('{told}')")
        await it.fill("#token", "right")
        await it.press("#token", "Enter")
        await state(it, "No microphone")
        assert await it.is_hidden("#access")


WIRE = """async (minutes) => {
  const sent = [];
  let socket;
  window.WebSocket = class {
    constructor(url) { socket = this; this.url = String(url); }
    send(data) {
      sent.push(typeof data === "string" ? JSON.parse(data).type : [...new Uint8Array(data)]);
    }
  };
  const { Realtime } = await import("/realtime.js");
  const server = new Realtime("ws://x/v1/realtime", {});
  const opens = [];
  server.addEventListener("open", ({ detail }) => opens.push(detail));
  const say = (event) => socket.onmessage({ data: JSON.stringify(event) });
  const piece = (value) => new Uint8Array(32000).fill(value).buffer;
  server.connect();
  server.audio(piece(1));
  say({ type: "session.created", event_id: "event_7", session: { id: "s" } });
  server.send({ type: "response.create" });
  server.audio(piece(2));
  const before = sent.splice(0).map((one) => Array.isArray(one) ? one.length : one);
  const dropped = async (audio_bytes, messages) => {
    await socket.onclose({ code: 1006, reason: "dropped" });
    await new Promise((go) => setTimeout(go, 400));
    say({ type: "salmonn.resumed", event_id: "resumed", audio_bytes, messages });
    return sent.splice(0).map((one) => Array.isArray(one) ? [one[0], one.length] : one);
  };
  const after = await dropped(31000, 1);
  const url = socket.url;
  await socket.onclose({ code: 1006, reason: "dropped" });
  for (let second = 3; second < 3 + 40; second++) server.audio(piece(second));
  const late = await dropped(64000, 2);
  const again = await dropped(64000 + 30 * 32000, 2);
  return { before, after, url, late, again, opens };
}"""


@run
async def test_what_a_server_did_not_get_is_sent_again_in_order(folder: Path) -> None:
    async with serving(fake()) as (_, host), page(host) as it:
        found = await it.evaluate(WIRE)
    assert found["before"] == ["session.update", 32_000, "response.create", 32_000]
    assert found["url"].endswith("session_id=s&after=7")
    assert found["after"] == [[1, 1000], "response.create", [2, 32_000]]
    assert found["late"] == [[second, 32_000] for second in range(13, 43)]  # half a minute
    assert found["again"] == []  # it knows that ten seconds never came
    assert [one["missing"] for one in found["opens"]] == [0, 0, 320_000, 0]


REFUSED = """async ([status, text]) => {
  window.WebSocket = class { constructor() { window.wire = this; } close() {} };
  window.fetch = async () => new Response(text, { status, statusText: "Its Phrase" });
  const { Realtime } = await import("/realtime.js");
  const server = new Realtime("ws://x/v1/realtime", {});
  const told = new Promise((tell) => server.addEventListener("lost", ({ detail }) => tell(detail)));
  server.connect();
  wire.onclose({ code: 1006, reason: "" });
  const { final, busy, token, reason } = await told;
  server.close();
  return [final, Boolean(busy), Boolean(token), reason];
}"""


@run
async def test_why_a_server_refuses_is_told_in_its_words(folder: Path) -> None:
    def error(message: str) -> str:
        return json.dumps({"error": {"type": "x", "code": "y", "message": message}})

    cases: list[tuple[int, str, list[Any]]] = [
        (401, error("A token is needed."), [True, False, True, "A token is needed."]),
        (403, error("Not from there."), [True, False, False, "Not from there."]),
        (421, error("Not here."), [True, False, False, "Not here."]),
        (429, error("Too many."), [False, True, False, "Too many."]),
        (503, error("All are taken."), [False, True, False, "All are taken."]),
        (426, error("It is a websocket."), [False, False, False, ""]),
        (502, "<html>a proxy's</html>", [False, False, False, ""]),
        (400, "<!doctype html>a proxy's", [True, False, False, "Its Phrase"]),
        (403, "in plain words\n", [True, False, False, "in plain words"]),
        (404, '{"detail": "other JSON"}', [True, False, False, '{"detail": "other JSON"}']),
    ]
    async with serving(fake()) as (_, host), page(host) as it:
        for status, text, expected in cases:
            assert await it.evaluate(REFUSED, [status, text]) == expected, status


FULL = """async () => {
  const sent = [];
  let socket;
  window.WebSocket = class {
    constructor() { socket = this; }
    send(data) { sent.push(data); }
  };
  const { Realtime } = await import("/realtime.js");
  const server = new Realtime("ws://x/v1/realtime", {});
  const errors = [];
  server.addEventListener("event", ({ detail }) => {
    if (detail.type === "error") errors.push(detail.error.code);
  });
  const say = (data) => socket.onmessage({ data });
  const dropped = async (audio_bytes, messages) => {
    await socket.onclose({ code: 1006, reason: "dropped" });
    await new Promise((go) => setTimeout(go, 400));
    sent.length = 0;
    say(JSON.stringify({ type: "salmonn.resumed", event_id: "resumed", audio_bytes, messages }));
    return sent.map((one) => typeof one === "string" ? JSON.parse(one) : one.byteLength);
  };
  server.connect();
  for (const bad of ["no json", "{}", "null", "3", new Blob(["x"])]) say(bad);
  say(JSON.stringify({ type: "session.created", event_id: "event_1", session: { id: "s" } }));
  for (let number = 0; number < 1500; number++) server.send({ type: "x", number });
  const typed = await dropped(0, 1);
  const rest = await dropped(0, 1 + 990);
  server.send({ type: "y", text: "x".repeat(5 * 2 ** 20) });
  const long = await dropped(0, 1 + 999);
  server.audio(new ArrayBuffer(640));
  const after = await dropped(0, 1 + 1000);
  const lost = await dropped(0, 0);
  return { errors, typed, rest, long: long.map(({ type }) => type), after, lost };
}"""


@run
async def test_what_is_kept_is_bounded_for_who_only_types_too(folder: Path) -> None:
    async with serving(fake()) as (_, host), page(host) as it:
        found = await it.evaluate(FULL)
    assert found["errors"] == ["unreadable_message"] * 5
    assert [one["number"] for one in found["typed"]] == list(range(500, 1500))
    assert [one["number"] for one in found["rest"]] == list(range(1490, 1500))
    assert found["long"] == ["y"]  # it is more than is kept by itself, so what was before it goes
    assert found["after"] == [640]
    assert found["lost"] == [{"type": "session.update", "session": {}}, 640]
