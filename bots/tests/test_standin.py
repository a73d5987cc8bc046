# SPDX-License-Identifier: Apache-2.0
"""The stand-in for daily-python, in rooms of the simulator."""

import asyncio
import time
import uuid
from typing import Any

import pytest
from conftest import PATIENCE, Sim
from daily import CallClient, CustomAudioSource, Daily, EventHandler

OPERATOR = "+14155550111"


class Witness(EventHandler):
    """Remembers what it is told, and lets one wait for it."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.told: asyncio.Queue[tuple] = asyncio.Queue()

    def __getattribute__(self, name: str) -> Any:
        if not name.startswith("on_"):
            return super().__getattribute__(name)
        return lambda *args: self.loop.call_soon_threadsafe(self.told.put_nowait, (name, *args))

    async def of(self, name: str) -> tuple:
        async with asyncio.timeout(PATIENCE):
            while (event := await self.told.get())[0] != name:
                pass
            return event[1:]


class Visitor:
    """A client whose completions can be awaited."""

    def __init__(self) -> None:
        self.witness = Witness()
        self.client = CallClient(self.witness)

    async def do(self, method: str, *args: Any, **more: Any) -> Any:
        done = self.witness.loop.create_future()

        def complete(*result: Any) -> None:
            self.witness.loop.call_soon_threadsafe(done.set_result, result if len(result) > 1 else result[0])

        getattr(self.client, method)(*args, **more, completion=complete)
        async with asyncio.timeout(PATIENCE):
            return await done


@pytest.fixture
async def visitor():
    it = Visitor()
    yield it
    await it.do("leave")
    it.client.release()


@pytest.fixture
async def room(sim: Sim) -> dict:
    """A room for phones, with a token for its owner."""
    name = "r-" + uuid.uuid4().hex[:8]
    sip = {"display_name": "x", "sip_mode": "dial-in", "num_endpoints": 1}
    made = await sim.rest("/rooms", {"name": name, "properties": {"sip": sip, "enable_dialout": True}})
    token = await sim.rest("/meeting-tokens", {"properties": {"room_name": name, "is_owner": True, "user_id": "bot-1"}})
    return {"name": name, "url": made["url"], "token": token["token"]}


async def test_who_joins_is_there_and_who_leaves_is_not(visitor: Visitor, room: dict, sim: Sim):
    visitor.client.set_user_name("me")
    data, error = await visitor.do("join", room["url"], room["token"])
    assert error is None
    me = data["participants"]["local"]
    assert (me["info"]["userName"], me["info"]["userId"], me["info"]["isOwner"]) == ("me", "bot-1", True)
    rooms = (await sim.ask("GET", "/sim/rooms"))["data"]
    (bot,) = next(r["bots"] for r in rooms if r["name"] == room["name"])
    assert bot["session_id"] == me["id"]
    assert await visitor.do("leave") is None
    assert [await visitor.witness.of("on_call_state_updated") for _ in range(4)] == [
        ("joining",), ("joined",), ("leaving",), ("left",),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"url": "https://acme.daily.co/room"}, "stand-in"),
        ({"token": "forged"}, "forbidden-error"),
        ({"url": "http://127.0.0.1:1/room"}, "refused"),
    ],
    ids=["a room of Daily's", "a forged token", "nobody there"],
)
async def test_who_is_not_let_in_is_told_why(change: dict, says: str, visitor: Visitor, room: dict):
    room |= change
    data, error = await visitor.do("join", room["url"], room["token"])
    assert data is None
    assert says in error


async def test_who_is_put_out_is_told(visitor: Visitor, room: dict, sim: Sim):
    await visitor.do("join", room["url"], room["token"])
    await sim.rest(f"/rooms/{room['name']}/eject", {"user_ids": ["bot-1"]})
    assert "ejected" in (await visitor.witness.of("on_error"))[0]
    assert await visitor.witness.of("on_call_state_updated") == ("left",)


async def test_who_was_there_before_is_met_as_well(visitor: Visitor, room: dict):
    first = Visitor()
    await first.do("join", room["url"], room["token"])
    await visitor.do("join", room["url"], room["token"])
    (someone,) = await visitor.witness.of("on_participant_joined")
    assert not someone["info"]["isLocal"]
    await first.do("leave")
    left, reason = await visitor.witness.of("on_participant_left")
    assert (left["id"], reason) == (someone["id"], "leftCall")


async def test_a_phone_is_called_heard_and_sent_elsewhere(visitor: Visitor, room: dict, sim: Sim):
    await visitor.do("join", room["url"], room["token"])
    assert await visitor.do("start_transcription") is None
    session, error = await visitor.do("start_dialout", {"phoneNumber": "+14155550100"})
    assert error is None
    for event in ("on_dialout_connected", "on_dialout_answered"):
        assert (await visitor.witness.of(event))[0]["sessionId"] == session
    assert (await visitor.witness.of("on_transcription_message"))[0]["text"] == "Hello?"
    await sim.say(room["name"], session, "Who is there?")
    (message,) = await visitor.witness.of("on_transcription_message")
    assert (message["participantId"], message["text"]) == (session, "Who is there?")
    hold = {session: {"permissions": {"canReceive": {"base": False}}}}
    assert await visitor.do("update_remote_participants", hold) is None
    assert await visitor.do("sip_call_transfer", {"sessionId": session, "toEndPoint": OPERATOR}) is None
    assert (await visitor.witness.of("on_dialout_stopped"))[0]["sessionId"] == session


async def test_what_the_room_refuses_is_the_result(visitor: Visitor, room: dict):
    _, error = await visitor.do("start_dialout", {"phoneNumber": "+14155550100"})
    assert error == "not in a room"
    await visitor.do("join", room["url"], room["token"])
    _, error = await visitor.do("start_dialout", {"phoneNumber": "not a number"})
    assert "phoneNumber" in error
    assert "sessionId" in await visitor.do("sip_refer", {"sessionId": "somebody", "toEndPoint": OPERATOR})


async def test_audio_is_silence_and_takes_its_time():
    loop = asyncio.get_running_loop()
    source, speaker = CustomAudioSource(16000, 1), Daily.create_speaker_device("s", 16000, 1, non_blocking=True)
    written, read = loop.create_future(), loop.create_future()
    began = time.monotonic()
    source.write_frames(bytes(2 * 1600), completion=lambda n: loop.call_soon_threadsafe(written.set_result, n))
    speaker.read_frames(1600, completion=lambda b: loop.call_soon_threadsafe(read.set_result, b))
    assert await written == 1600
    assert await read == bytes(2 * 1600)
    assert 0.1 <= time.monotonic() - began < 1
