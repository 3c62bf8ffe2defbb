"""Calls take places, as any sessions."""

from tests.streaming.server.rtc.caller import calling, form, offered, posted
from tests.streaming.server.test_abuse import eventually
from tests.streaming.server.test_app import client, run, serving
from tests.streaming.server.test_speech import speaking


@run
async def test_a_call_that_is_refused_ends_nobodys_session() -> None:
    async with serving(speaking(), sessions=1) as (app, host):
        async with client(host):
            pass  # may come back
        (seat,) = app.seats.here.values()
        await eventually(lambda: seat.connection is None)
        body, kind = form(sdp=await offered(), session='{"type": "none"}')
        status, *_ = await posted(host, body, kind=kind)
        assert (status, [*app.seats.here.values()]) == (400, [seat])
        async with calling(host) as caller:  # this one needs the place
            await caller.until("session.created")
            assert seat.name not in app.seats.here
