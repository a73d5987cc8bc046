# SPDX-License-Identifier: Apache-2.0
"""Pipecat bots on a whole Trunkline, with simulated phones: the real DailyTransport, on the stand-in client."""

import json
import os
import signal
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import aiohttp
import pytest
from conftest import EXAMPLES, DevRunner, Sim, Trunkline, agent, call_id, eventually, running

PHONE = "+14155550123"
MACHINE = "+14155550198"  # the simulator's voicemail
SUPPORT, SUPERVISOR = "+14155550161", "+14155550162"

NUMBERS = {
    "receptionist": "+14155550100",
    "stock": "+14155550101",
    "runner": "+14155550102",
    "without": "+14155550103",
}


@pytest.fixture(scope="module")
def runners(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, DevRunner]]:
    """Pipecat's development runners: of a bot with Trunkline's line, and of one without. They start meanwhile."""
    folder = tmp_path_factory.mktemp("runners")
    all_of = {"runner": DevRunner("adapted.py", folder), "without": DevRunner("stock_dialin.py", folder)}
    yield all_of
    for it in all_of.values():
        it.stop()


@pytest.fixture(scope="module")
def whole(
    trunkline_binary: Path, tmp_path_factory: pytest.TempPathFactory, runners: dict[str, DevRunner]
) -> Iterator[Trunkline]:
    remote = {"backend": "runner", "owner": True}
    agents = {
        "receptionist": agent("receptionist.py", folder=EXAMPLES, warm=1, targets=["support", "supervisor"]),
        "reminder": agent("reminder.py", folder=EXAMPLES),
        "stock": agent("stock_dialin.py"),
        "caller": agent("stock_dialout.py", dial="bot"),
        "runner": remote | {"url": runners["runner"].url, "ready_timeout": "30s"},
        "without": remote | {"url": runners["without"].url, "ready_timeout": "2s"},
    }
    routes = [{"number": n, "agent": a, "answer_budget": "4s" if a == "without" else "90s"} for a, n in NUMBERS.items()]
    config = {
        "agents": agents,
        "routes": [*routes, {"default": True, "agent": "receptionist"}],
        "targets": {
            "support": {"numbers": [SUPPORT], "bot_leaves": True, "ring_timeout": "2s"},
            "supervisor": {"numbers": [SUPERVISOR], "ring_timeout": "2s"},
        },
        "policy": {"countries": ["US"]},
        "dialout": {"answer_budget": "90s"},
        "log": {"level": "debug"},
    }
    with running(trunkline_binary, tmp_path_factory.mktemp("trunkline"), config) as it:
        yield it


@pytest.fixture
def trunkline(whole: Trunkline, http: aiohttp.ClientSession) -> Trunkline:
    whole.sim = Sim(whole.urls["simulator"].removesuffix("/sim/calls"), http)
    return whole


# Calls that come in


async def test_a_bot_that_does_not_know_trunkline_answers_and_ends_with_its_call(trunkline: Trunkline):
    call, id = await trunkline.answered(NUMBERS["stock"])
    said = await trunkline.sim.heard(call["rooms"][0], "This is a stock bot.")
    assert said["heard_by"] == call["sessions"]
    await trunkline.sim.hang_up(call)
    assert (await trunkline.ended(id))["reason"] == "caller_hung_up"
    await trunkline.event(id, "BotExited.1")
    assert not trunkline.bots("stock_dialin.py")


async def test_the_receptionist_answers_a_question_and_hangs_up_when_all_is_said(trunkline: Trunkline):
    sim = trunkline.sim
    call, id = await trunkline.answered(NUMBERS["receptionist"])
    room = call["rooms"][0]
    await sim.heard(room, "How can I help you?")
    await sim.say(room, call["id"], "When are you open?")
    await sim.heard(room, "from nine to five")
    await sim.say(room, call["id"], "Thank you, goodbye.")
    await sim.heard(room, "Goodbye!")
    await sim.until("calls", call["id"], "ended")
    end = await trunkline.ended(id)
    assert (end["reason"], end["detail"]) == ("bot_ended", "the caller said goodbye")


async def test_a_receptionist_that_is_killed_is_replaced_by_one_that_knows(trunkline: Trunkline):
    sim = trunkline.sim
    await trunkline.warm("receptionist")
    (worker,) = await eventually(lambda: alone(trunkline, "receptionist.py"))
    call, id = await trunkline.answered(NUMBERS["receptionist"])
    room = call["rooms"][0]
    await sim.heard(room, "How can I help you?")
    await sim.say(room, call["id"], "When are you open?")
    await sim.heard(room, "from nine to five")
    await eventually(lambda: told_context(trunkline, id))
    await trunkline.warm("receptionist")
    os.kill(worker, signal.SIGKILL)  # it was there before the call
    said = await sim.heard(room, "You had said: When are you open?")
    assert said["heard_by"] == call["sessions"]
    await trunkline.event(id, "BotReady.2")
    events = await trunkline.events(id)
    # Whichever came first: Daily's word that it has joined, or the bot's.
    claim = events.get("BotClaimed.2") or events["BotReady.2"]
    assert claim["data"]["session"] == f"{id}-2"
    assert seconds(claim) - seconds(events["BotExited.1"]) < 5
    await sim.hang_up(call)
    assert (await trunkline.ended(id))["reason"] == "caller_hung_up"


async def alone(trunkline: Trunkline, file: str) -> set[int] | None:
    """The one process that runs a bot, when those of the tests before have gone."""
    return them if len(them := trunkline.bots(file)) == 1 else None


async def told_context(trunkline: Trunkline, id: str) -> bool:
    return any(id in line and "type=context" in line for line in trunkline.log.read_text().splitlines())


def seconds(event: dict) -> float:
    return datetime.fromisoformat(event["at"]).timestamp()


# Pipecat's development runner


async def test_a_bot_of_the_development_runner_answers(
    trunkline: Trunkline, runners: dict[str, DevRunner], http: aiohttp.ClientSession
):
    await runners["runner"].up(http)
    call, id = await trunkline.answered(NUMBERS["runner"])
    said = await trunkline.sim.heard(call["rooms"][0], "This is a stock bot.")
    assert said["heard_by"] == call["sessions"]
    await trunkline.sim.hang_up(call)
    assert (await trunkline.ended(id))["reason"] == "caller_hung_up"
    assert len(call["rooms"]) == 1


async def test_a_bot_there_that_does_not_take_its_room_from_the_body_is_given_up(
    trunkline: Trunkline, runners: dict[str, DevRunner], http: aiohttp.ClientSession
):
    await runners["without"].up(http)
    call = await trunkline.sim.call(to=NUMBERS["without"])

    async def record() -> str | None:
        calls = json.loads(await trunkline.run("calls", "ls", "--agent", "without", "-o", "json")).get("calls")
        return calls[0]["id"] if calls else None

    id = await eventually(record)
    failed = await trunkline.event(id, "BotFailed.1")
    assert failed["data"]["reason"] == "not ready in time"
    assert seconds(failed) - seconds((await trunkline.events(id))["BotStarting.1"]) < 3
    assert (await trunkline.ended(id))["reason"] == "no_bot"
    await trunkline.sim.hang_up(call)


# Transfers


async def meets(trunkline: Trunkline, room: str, caller: str, operator: str) -> None:
    """Waits until caller and operator hear one another, and nobody else."""

    async def alone() -> bool:
        hears = await trunkline.sim.hears(room)
        return hears.get(caller) == {operator} and hears.get(operator) == {caller}

    await eventually(alone)


async def operators(trunkline: Trunkline, number: str, room: str) -> str:
    """Waits until an operator has answered in a room, and gives his session."""

    async def dialled() -> dict | None:
        return next((d for d in await trunkline.dials(number) if d["room"] == room), None)

    dial = await eventually(dialled)
    return (await trunkline.sim.until("dials", dial["id"], "answered"))["id"]


async def test_the_receptionist_hands_a_caller_over_and_leaves(trunkline: Trunkline):
    sim = trunkline.sim
    await trunkline.phone(SUPPORT, does="answer")
    call, id = await trunkline.answered(NUMBERS["receptionist"])
    room, caller = call["rooms"][0], call["sessions"][0]
    await sim.heard(room, "How can I help you?")
    await sim.say(room, call["id"], "I want to talk to a person.")
    assert (await sim.heard(room, "One moment please"))["heard_by"] == [caller]
    operator = await operators(trunkline, SUPPORT, room)
    await meets(trunkline, room, caller, operator)
    await trunkline.event(id, "BotExited.1")
    assert await sim.hears(room) == {caller: {operator}, operator: {caller}}
    await sim.hang_up(call)
    assert (await trunkline.ended(id))["reason"] == "caller_hung_up"


async def test_the_receptionist_tells_the_supervisor_first_and_then_holds_the_line(trunkline: Trunkline):
    sim = trunkline.sim
    await trunkline.phone(SUPERVISOR, does="answer")
    call, id = await trunkline.answered(NUMBERS["receptionist"])
    room, caller = call["rooms"][0], call["sessions"][0]
    await sim.heard(room, "How can I help you?")
    await sim.say(room, call["id"], "I have a complaint.")
    assert (await sim.heard(room, "I will ask the supervisor."))["heard_by"] == [caller]
    operator = await operators(trunkline, SUPERVISOR, room)
    assert (await sim.heard(room, "The caller wants to complain."))["heard_by"] == [operator]
    await meets(trunkline, room, caller, operator)
    await sim.say(room, operator, "What can I do for you?")
    assert caller in (await sim.heard(room, "What can I do for you?"))["heard_by"]
    assert len(await sim.hears(room)) == 3, "the bot is to stay"
    await sim.hang_up(call)
    assert (await trunkline.ended(id))["reason"] == "caller_hung_up"


@pytest.mark.parametrize(("wish", "number"), [("a person", SUPPORT), ("to complain", SUPERVISOR)], ids=["cold", "warm"])
async def test_a_caller_for_whom_nobody_comes_to_the_phone_is_back_with_the_bot(
    wish: str, number: str, trunkline: Trunkline
):
    sim = trunkline.sim
    await trunkline.phone(number, does="no-answer")
    call, id = await trunkline.answered(NUMBERS["receptionist"])
    room, caller = call["rooms"][0], call["sessions"][0]
    await sim.heard(room, "How can I help you?")
    await sim.say(room, call["id"], f"I want {wish}.")
    assert (await sim.heard(room, "nobody can come to the phone"))["heard_by"] == [caller]
    assert (await trunkline.event(id, "TransferFailed.1"))["data"]["reason"] == "no_answer"
    hears = await sim.hears(room)
    (bot,) = hears.keys() - {caller}
    assert hears == {caller: {bot}, bot: {caller}}
    await sim.say(room, call["id"], "When are you open?")
    assert (await sim.heard(room, "from nine to five"))["heard_by"] == [caller]
    await sim.hang_up(call)
    await trunkline.ended(id)


# Calls that are placed


@pytest.mark.parametrize("to", [PHONE, MACHINE], ids=["person", "machine"])
async def test_the_reminder_reaches_a_person_or_leaves_a_message(trunkline: Trunkline, to: str):
    sim = trunkline.sim
    dial = await trunkline.place(to, "reminder", {"name": "Ann", "appointment": "on Monday"})
    said = await sim.heard(dial["room"], "Hello Ann, a reminder of your appointment on Monday.")
    assert said["heard_by"] == [dial["id"]]
    if to == PHONE:
        await sim.say(dial["room"], dial["id"], "Thank you!")
        await sim.heard(dial["room"], "Goodbye!")
    id = call_id(dial["room"])
    await trunkline.ended(id)
    assert ("VoicemailHeard.1" in await trunkline.events(id)) == (to == MACHINE)


async def test_a_bot_that_dials_by_itself_calls_who_it_is_told_to(trunkline: Trunkline):
    dial = await trunkline.place(PHONE, "caller", {})
    assert dial["by"] == "bot"
    await trunkline.sim.heard(dial["room"], "Hello from the bot that calls.")
    await trunkline.ended(call_id(dial["room"]))
