"""What a peer offers, in SDP (RFC 8866), before anything else reads it."""

import re
from http import HTTPStatus

from streaming.server.http import RefusedError

OFFER_BYTES = 64 * 2**10
"""Longest offer; those of browsers have 2 to 6 KiB."""

NEEDED = {
    r"^m=audio ": "no audio",
    r"^m=application ": "no data channel; make one called oai-events before the offer",
    r"^a=rtpmap:\d+ opus/48000": "no Opus",
    r"^a=rtcp-mux": "no rtcp-mux",
    r"^a=ice-ufrag:": "no ice-ufrag",
    r"^a=ice-pwd:": "no ice-pwd",
    r"^a=fingerprint:": "no fingerprint",
    r"^a=setup:": "no setup",
}
"""Lines that an offer has, and what it lacks without them."""

_CANDIDATE = re.compile(r"^a=(candidate:|end-of-candidates)")
_MEDIA = re.compile(r"^m=(\S*)")


def checked(offer: str) -> str:
    """An offer that can be answered, without the peer's addresses.

    Peers connect to the server and never the other way round, so it sends nothing to an address
    that somebody merely names.

    Raises:
        RefusedError: it is no offer of what is offered here.
    """
    if not offer.startswith("v=0"):
        raise refused("it is no SDP, which begins with v=0")
    lines = offer.splitlines()
    for line, lacks in NEEDED.items():
        if not any(re.match(line, given, re.IGNORECASE) for given in lines):
            raise refused(f"it has {lacks}")
    kinds = [found[1] for line in lines if (found := _MEDIA.match(line))]
    if sorted(kinds) != ["application", "audio"]:
        raise refused("it may have one section of audio, one of data channels, and no others")
    mids = [line.removeprefix("a=mid:") for line in lines if line.startswith("a=mid:")]
    if not any(line.split()[1:] == mids for line in lines if line.startswith("a=group:BUNDLE ")):
        raise refused("audio and data channel are not in one bundle")
    return "\r\n".join(line for line in lines if not _CANDIDATE.match(line)) + "\r\n"


def refused(why: str) -> RefusedError:
    """An error in an offer."""
    told = f"The offer cannot be answered: {why}."
    return RefusedError(HTTPStatus.BAD_REQUEST, "offer", told, code="invalid_offer", param="sdp")
