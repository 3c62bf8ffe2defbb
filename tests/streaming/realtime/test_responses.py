"""The wire: what a single response may ask for, and is told of."""

from typing import Any

import pytest

from tests.streaming.realtime.client import MANUAL, TURN, Client, Json, typed


def test_an_answer_has_a_limit_of_its_own_and_the_next_one_the_sessions() -> None:
    client = Client(max_output_tokens=3)
    client.speak("." * 30)
    client.send("response.create", response={"max_output_tokens": 1})
    client.update({"instructions": "Be brief."})  # must not lift it
    client.speak("." * 9)
    done = client.last("response.done")["response"]
    assert (done["status"], done["max_output_tokens"]) == ("incomplete", 1)
    assert done["status_details"] == {"type": "incomplete", "reason": "max_output_tokens"}
    assert done["usage"]["output_tokens"] == 1
    assert client.last("conversation.item.done")["item"]["status"] == "incomplete"
    client.send("response.create")
    client.speak("." * 9)
    done = client.last("response.done")["response"]
    assert (done["status"], done["max_output_tokens"]) == ("incomplete", 3)
    assert done["usage"]["output_tokens"] == 3


def test_an_answer_may_be_longer_than_the_sessions() -> None:
    client = Client(max_output_tokens=2)
    client.speak("." * 30)
    for limit, ends in (("inf", "completed"), (3, "incomplete"), (None, "incomplete")):
        client.send("response.create", response={"max_output_tokens": limit})
        client.speak("." * 9)
        done = client.last("response.done")["response"]
        assert (done["status"], done["max_output_tokens"]) == (ends, limit or 2)
        assert done["usage"]["output_tokens"] == {"inf": 4, 3: 3, None: 2}[limit]


def test_a_limit_takes_the_place_of_a_reply_begun_in_secret() -> None:
    client = Client()
    client.speak("...SSSS" + "." * 5)  # paused, not ended
    assert client.listener.reply is not None
    client.update(MANUAL)  # ends the utterance
    client.send("response.create", response={"max_output_tokens": 1})
    client.speak("." * 9)
    assert client.last("response.done")["response"]["usage"]["output_tokens"] == 1


def test_cached_tokens_are_those_that_were_there_when_the_answer_was_asked_for() -> None:
    def cached(client: Client, **response: Any) -> int:
        client.send("response.create", response=response)
        client.speak("." * 9)
        usage = client.last("response.done")["response"]["usage"]["input_token_details"]
        assert usage["cached_tokens"] == usage["cached_tokens_details"]["audio_tokens"]
        return int(usage["cached_tokens"])

    client = Client()
    client.speak(TURN)
    usage = client.last("response.done")["response"]["usage"]["input_token_details"]
    assert usage["cached_tokens"] == 2  # of 6: what was final when speech ended
    assert cached(client) == 0  # nothing said: a prompt about everything, made just now
    client = Client(**MANUAL)
    client.speak("S" * 16)
    client.send("input_audio_buffer.commit")
    assert cached(client) == 8
    client.speak("S" * 16)
    assert cached(client) == 12  # with the silence under the answer before
    client.speak("S" * 16)
    assert cached(client, instructions="Louder.") == 0
    client.send("conversation.item.create", item=typed("user", "What was that?"))
    assert cached(client) == 0


def test_an_answer_to_other_input_is_an_item_too_unless_it_is_out_of_band() -> None:
    client = Client()
    client.speak(TURN)
    heard = client.last("input_audio_buffer.committed")["item_id"]
    client.protocol._items.get(heard)["content"][0]["transcript"] = "Who?"
    asked = [{"type": "item_reference", "id": heard}, typed("user", "Why?")]
    client.send("response.create", response={"input": asked})
    client.speak("." * 9)
    assert "open 0 Who?\nWhy?" in client.listener.diary
    assert client.kinds().count("conversation.item.added") == 3
    assert client.last("response.done")["response"]["conversation_id"] is not None
    client.send("response.create", response={"input": []})
    assert client.listener.diary[-1] == "open 0", "nothing is asked but what always is"


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"metadata": {"k" * 65: "v"}}, "response.metadata"),
        ({"metadata": {"k": "v" * 513}}, "response.metadata.k"),
        ({"metadata": {str(n): "v" for n in range(17)}}, "response.metadata"),
        ({"max_output_tokens": 4097}, "response.max_output_tokens"),
        ({"output_modalities": ["smell"]}, "response.output_modalities.0"),
        ({"tools": ["light"]}, "response.tools"),
        ({"tools": [{"type": "function", "name": "light"}]}, "response.tools"),
        ({"tool_choice": "required"}, "response.tool_choice"),
        ({"prompt": {"id": "p"}}, "response.prompt"),
        ({"temperature": 0.5}, "response.temperature"),
        ({"instructions": "x" * 9001}, "response.instructions"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "item_id"),
    ],
)
def test_parameters_of_a_response_are_checked(wrong: Json, param: str) -> None:
    client = Client()
    (error,) = client.send("response.create", response=wrong, event_id="mine")
    assert error["type"] == "error"
    assert error["error"]["param"].startswith(param)
    assert error["error"]["event_id"] == "mine"


def test_null_is_as_if_it_were_not_there() -> None:
    client = Client()
    names = ("conversation", "input", "instructions", "max_output_tokens", "metadata", "tools")
    client.send("response.create", response=dict.fromkeys(names))
    client.speak("." * 9)
    done = client.last("response.done")["response"]
    assert (done["status"], done["max_output_tokens"]) == ("completed", "inf")


def test_the_limit_of_the_model_is_told_as_one() -> None:
    client = Client()
    client.listener.usual = 4  # so many tokens the answer has
    client.speak(TURN)
    assert client.last("response.done")["response"]["status"] == "incomplete"
