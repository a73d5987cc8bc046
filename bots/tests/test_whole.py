# SPDX-License-Identifier: Apache-2.0
"""Pipecat bots on a whole Trunkline, with simulated phones: the real DailyTransport, on the stand-in client."""

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from conftest import EXAMPLES, Trunkline, agent, eventually, running

PHONE = "+14155550123"
MACHINE = "+14155550198"  # the simulator's voicemail


@pytest.fixture
async def trunkline(
    trunkline_binary: Path, tmp_path: Path, http: aiohttp.ClientSession, request: pytest.FixtureRequest
) -> AsyncIterator[Trunkline]:
    async with running(trunkline_binary, tmp_path, http, request.param) as it:
        yield it


def agents(**named):
    return pytest.mark.parametrize("trunkline", [named], indirect=True, ids=[",".join(named)])


@agents(stock=agent("stock_dialin.py"))
async def test_a_bot_that_does_not_know_trunkline_answers_and_ends_with_its_call(trunkline: Trunkline):
    call = await trunkline.sim.call()
    connected = await trunkline.sim.until("calls", call["id"], "connected")
    said = await trunkline.sim.heard(connected["rooms"][0], "This is a stock bot.")
    assert said["heard_by"] == connected["sessions"]
    await trunkline.sim.hang_up(call)
    (record,) = await trunkline.ended(1)
    assert record["reason"] == "caller_hung_up"
    assert len(connected["rooms"]) == 1
    await eventually(trunkline.no_bots)


@agents(receptionist=agent("receptionist.py", folder=EXAMPLES))
async def test_the_receptionist_answers_a_question_and_hangs_up_when_all_is_said(trunkline: Trunkline):
    sim = trunkline.sim
    call = await sim.call()
    connected = await sim.until("calls", call["id"], "connected")
    room = connected["rooms"][0]
    await sim.heard(room, "How can I help you?")
    await sim.say(room, call["id"], "When are you open?")
    await sim.heard(room, "from nine to five")
    await sim.say(room, call["id"], "Thank you, goodbye.")
    await sim.heard(room, "Goodbye!")
    await sim.until("calls", call["id"], "ended")
    (record,) = await trunkline.ended(1)
    assert record["reason"] == "bot_ended"
    assert record["detail"] == "the caller said goodbye"


@agents(receptionist=agent("receptionist.py", folder=EXAMPLES))
async def test_a_receptionist_that_is_killed_is_replaced_by_one_that_knows(trunkline: Trunkline):
    sim = trunkline.sim
    call = await sim.call()
    connected = await sim.until("calls", call["id"], "connected")
    room = connected["rooms"][0]
    await sim.heard(room, "How can I help you?")
    os.kill(trunkline.bot_pids()[0], signal.SIGKILL)
    said = await sim.heard(room, "I was away for a moment")
    assert said["heard_by"] == connected["sessions"]


@agents(reminder=agent("reminder.py", folder=EXAMPLES))
@pytest.mark.parametrize("to", [PHONE, MACHINE], ids=["person", "machine"])
async def test_the_reminder_reaches_a_person_or_leaves_a_message(trunkline: Trunkline, to: str):
    sim = trunkline.sim
    await trunkline.place(to, "reminder", {"name": "Ann", "appointment": "on Monday"})
    dial = await eventually(lambda: trunkline.dial(to))
    await sim.until("dials", dial["id"], "answered")
    said = await sim.heard(dial["room"], "Hello Ann, a reminder of your appointment on Monday.")
    assert said["heard_by"] == [dial["id"]]
    if to == PHONE:
        await sim.say(dial["room"], dial["id"], "Thank you!")
        await sim.heard(dial["room"], "Goodbye!")
    (record,) = await trunkline.ended(1)
    assert ("VoicemailHeard.1" in await trunkline.story(record)) == (to == MACHINE)


@agents(caller=agent("stock_dialout.py", dial="bot"))
async def test_a_bot_that_dials_by_itself_calls_who_it_is_told_to(trunkline: Trunkline):
    await trunkline.place(PHONE, "caller", {})
    dial = await eventually(lambda: trunkline.dial(PHONE))
    assert dial["by"] == "bot"
    await trunkline.sim.until("dials", dial["id"], "answered")
    await trunkline.sim.heard(dial["room"], "Hello from the bot that calls.")
    await trunkline.ended(1)
