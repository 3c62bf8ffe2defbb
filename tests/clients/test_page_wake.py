"""The page shows whether anybody is listened to, and what has to be said."""

from pathlib import Path

from tests.clients.browser import Server, page, run, state, tones
from tests.clients.on_the_page import accessible
from tests.streaming.server.test_app import fake, serving


@run
async def test_it_says_what_wakes_it(folder: Path) -> None:
    flags = tones(folder, every_s=60)
    async with serving(fake()) as (_, host), page(host, *flags) as it:
        server = Server(it)
        await server.begin()
        await state(it, "Listening")
        await server.say("salmonn.wake", audio_ms=0, awake=False, phrase="Hey Jarvis")
        await state(it, "Asleep: say “Hey Jarvis”")
        assert (await it.text_content("#announce") or "").endswith("Asleep: say “Hey Jarvis”")
        await accessible(it)
        await server.say("salmonn.wake", audio_ms=900, awake=True, phrase=None)
        await state(it, "Listening")
        await server.say("salmonn.wake", audio_ms=9000, awake=False, phrase="Hey Jarvis")
        await server.created("resp_1")
        await state(it, "Answering")
