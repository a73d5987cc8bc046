# SPDX-License-Identifier: Apache-2.0
"""What the helper tells Trunkline, and does on its word: a real transport, a simulated room, a gateway that obeys."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
import receptionist
import trunkline.call
from conftest import PATIENCE, Gateway, Json, Sim, eventually
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker, ProcessorUnusablePolicy
from pipecat.runner.types import DailyRunnerArguments, RunnerArguments
from pipecat.runner.utils import create_transport
from pipecat.transports.daily.transport import DailyParams
from pipecat.workers.runner import WorkerRunner
from test_stock import dialin

from trunkline import BotFailed, Call, Transfer

OPERATOR = "+14155550111"


class Desk:
    """A call, the room for it, and the bot that answers."""

    def __init__(self, sim: Sim, gateway: Gateway) -> None:
        self.sim, self.gateway = sim, gateway
        self.name = "r-" + uuid.uuid4().hex[:8]
        self.bot: asyncio.Task[None] | None = None

    async def open(self, bot: Any = receptionist.bot, **job: Any) -> None:
        """Starts the bot."""
        sip = {"display_name": "x", "sip_mode": "dial-in", "num_endpoints": 1}
        room = await self.sim.rest("/rooms", {"name": self.name, "properties": {"sip": sip, "enable_dialout": True}})
        mine = {"room_name": self.name, "is_owner": True, "user_id": "bot-1"}
        token = await self.sim.rest("/meeting-tokens", {"properties": mine})
        self.call = await self.sim.call()
        body = dialin(self.sim, self.call) | {"trunkline": self.gateway.job(**job)}
        args = DailyRunnerArguments(room_url=room["url"], token=token["token"], session_id="s1", body=body)
        self.bot = asyncio.create_task(bot(args))

    async def answered(self, bot: Any = receptionist.bot, **job: Any) -> None:
        """Starts the bot, and waits until the caller is with it and greeted."""
        await self.open(bot, **job)
        self.call = await self.sim.until("calls", self.call["id"], "connected")
        await self.heard("How can I help you?")

    async def say(self, text: str) -> None:
        await self.sim.say(self.name, self.call["id"], text)

    async def heard(self, text: str) -> Json:
        return await self.sim.heard(self.name, text)

    async def said(self) -> list[str]:
        return [s["text"] for s in (await self.sim.ask("GET", f"/sim/rooms/{self.name}/heard"))["data"] or []]

    async def some_heartbeats(self) -> None:
        """As good as a while: whatever the bot was to do by then it has done."""
        now = len(self.beats())
        await eventually(lambda: asyncio.sleep(0, len(self.beats()) > now + 3))

    def beats(self) -> list[str]:
        return [path for path, _ in self.gateway.asked if path == "heartbeat"]

    async def over(self) -> None:
        """Waits for the bot's end, and raises what it has raised."""
        async with asyncio.timeout(PATIENCE):
            await self.bot
        assert self.name not in str(await self.sim.ask("GET", "/sim/stats")), "the bot is still in the room"


@pytest.fixture
async def desk(sim: Sim, gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    monkeypatch.setattr(trunkline.call, "HEARTBEAT", 0.1)
    it = Desk(sim, gateway)
    yield it
    if it.bot is not None and not it.bot.done():
        it.bot.cancel()
        await asyncio.wait([it.bot])


# The call


async def test_a_call_is_claimed_told_of_and_ended(desk: Desk):
    await desk.answered()
    assert desk.gateway.asked[0] == ("claim", {"session_id": "s1"})
    await desk.say("When are you open?")
    await desk.heard("from nine to five")
    context = await desk.gateway.told("event", type="context")
    assert {"role": "user", "content": "When are you open?"} in context["data"]["messages"]
    await desk.sim.hang_up(desk.call)
    await desk.over()
    stopped = await desk.gateway.told("event", type="dialin.stopped")
    assert stopped["data"]["sessionId"] == desk.call["sessions"][0]
    told = [e for e in desk.gateway.events() if e != "context"]
    assert told == ["bot.joined", "dialin.ready", "dialin.connected", "dialin.stopped"]
    numbers = [body["seq"] for path, body in desk.gateway.asked if path == "event"]
    assert numbers == list(range(1, len(numbers) + 1))
    assert desk.gateway.asked[-1] == ("end", {"reason": "bot_finished"})


async def test_events_are_told_when_trunkline_can_be_reached_again(gateway: Gateway):
    gateway.refuse["event"] = (503, "unavailable")
    call = Call.from_runner_args(RunnerArguments(body={"trunkline": gateway.job()}))
    call.event("first", data=1)
    call.event("second")
    await gateway.told("event", type="first")
    gateway.refuse.clear()
    await gateway.told("event", type="second")
    first_try = gateway.events().index("second")
    assert set(gateway.events()[:first_try]) == {"first"}


@pytest.mark.parametrize("status", [401, 404, 409, 410])
async def test_a_bot_whose_claim_is_refused_does_not_join(status: int, desk: Desk):
    desk.gateway.refuse["claim"] = (status, "no")
    await desk.open()
    await desk.over()
    assert desk.gateway.asked == [("claim", {"session_id": "s1"})]


async def test_a_bot_that_takes_over_claims_when_it_is_in_the_room(desk: Desk):
    await desk.open(resumed=True, attempt=2)
    await desk.gateway.told("event", type="bot.joined")
    await desk.gateway.told("claim", session_id="s1")
    await desk.heard("I was away for a moment")


async def test_a_bot_that_is_replaced_leaves_at_once_and_ends_nothing(desk: Desk):
    await desk.answered()
    desk.gateway.refuse |= dict.fromkeys(("heartbeat", "event", "end"), (409, "superseded"))
    await desk.over()
    assert "end" not in [path for path, _ in desk.gateway.asked]
    assert "bot.failed" not in desk.gateway.events()


async def test_a_bot_that_is_put_out_of_its_room_has_failed(desk: Desk):
    await desk.answered()
    await desk.sim.rest(f"/rooms/{desk.name}/eject", {"user_ids": ["bot-1"]})
    with pytest.raises(BotFailed, match="out of the room"):
        await desk.over()
    await desk.gateway.told("event", type="bot.failed")


async def test_a_bot_that_is_cancelled_from_outside_leaves_and_does_not_end_the_call(desk: Desk):
    await desk.answered()
    desk.bot.cancel()
    await desk.over()
    failed = await desk.gateway.told("event", type="bot.failed")
    assert failed["data"] == {"error": "cancelled from outside"}
    assert "end" not in [path for path, _ in desk.gateway.asked]


async def test_a_bot_that_cannot_join_has_failed(desk: Desk):
    async def without_token(args: DailyRunnerArguments) -> None:
        args.token = "forged"
        await receptionist.bot(args)

    await desk.open(without_token)
    with pytest.raises(BotFailed, match=r"join: .*forbidden"):
        await desk.over()


def small(happening: Any, when: str, **more: Any) -> Any:
    """A bot with nothing but a transport, to which something happens."""

    async def bot(args: DailyRunnerArguments) -> None:
        call = Call.from_runner_args(args)
        transport = await create_transport(args, {"daily": lambda: DailyParams(audio_out_enabled=True)})
        worker = PipelineWorker(Pipeline([transport.input(), transport.output()]), **more)
        call.attach(transport, worker)

        async def happen(_: Any, __: Any) -> None:
            await happening(worker)

        (worker if when == "on_pipeline_started" else transport).add_event_handler(when, happen)

        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(worker)
        await call.run(runner)

    return bot


@pytest.mark.parametrize("when", ["on_pipeline_started", "on_dialin_connected"])
async def test_a_pipeline_that_cannot_do_its_job_has_failed(when: str, desk: Desk):
    async def fail(worker: PipelineWorker) -> None:
        await worker.pipeline.processors[1].push_error("no credit", force_treat_as_permanent=True)

    await desk.open(small(fail, when, processor_unusable_policy=ProcessorUnusablePolicy.CANCEL))
    with pytest.raises(BotFailed, match="no credit"):
        await desk.over()
    assert (await desk.gateway.told("event", type="bot.failed"))["data"] == {"error": "no credit"}


async def test_an_exception_in_the_run_is_reported_and_goes_on(gateway: Gateway):
    class Broken:
        async def run(self) -> None:
            raise ZeroDivisionError("an accident")

    call = Call.from_runner_args(RunnerArguments(body={"trunkline": gateway.job()}))
    with pytest.raises(ZeroDivisionError):
        await call.run(Broken())
    assert (await gateway.told("event", type="bot.failed"))["data"] == {"error": "ZeroDivisionError: an accident"}


async def test_without_trunkline_nothing_is_said_to_anybody(desk: Desk):
    async def stock(args: DailyRunnerArguments) -> None:
        del args.body["trunkline"]
        await receptionist.bot(args)

    await desk.answered(stock)
    await desk.say("I want a person.")  # a transfer that there is not
    await desk.heard("nobody can come to the phone")
    await desk.say("Goodbye.")
    await desk.heard("Goodbye!")
    await desk.over()
    assert desk.gateway.asked == []


# Transfers


async def test_a_cold_transfer_is_announced_and_then_executed_and_the_bot_leaves(desk: Desk):
    await desk.answered()
    await desk.say("I want to talk to a person.")
    asked = await desk.gateway.told("RequestTransfer")
    assert (asked["call"], asked["target"], asked["mode"]) == ("c1", "support", "cold")
    assert asked["summary"] == "The caller wants a person."
    assert asked["idempotencyKey"]
    await desk.gateway.told("ExecuteTransfer", n=1)
    assert "One moment please, I am connecting you." in await desk.said()
    await desk.gateway.move("RINGING")
    await desk.gateway.move("COMPLETED", botLeaves=True)
    await desk.over()
    assert "bot.left" in desk.gateway.events()
    assert "end" not in [path for path, _ in desk.gateway.asked]


async def test_when_nobody_can_be_had_the_llm_is_told_and_the_bot_goes_on(desk: Desk):
    await desk.answered()
    await desk.say("I want to talk to a person.")
    await desk.gateway.told("ExecuteTransfer")
    await desk.gateway.move("RINGING")
    await desk.gateway.move("FAILED", reason="no_answer")
    await desk.heard("nobody can come to the phone")
    await desk.say("When are you open?")
    await desk.heard("from nine to five")


async def test_when_the_target_says_so_the_bot_takes_its_leave(desk: Desk):
    await desk.answered()
    await desk.say("I want to talk to a person.")
    await desk.gateway.told("ExecuteTransfer")
    await desk.gateway.move("FAILED", reason="closed", message="We are closed. Goodbye.")
    await desk.heard("We are closed.")
    await desk.gateway.told("end", reason="transfer_failed")
    await desk.over()


async def brief(desk: Desk) -> str:
    """Has the supervisor called, and the caller put on hold, as Trunkline does, and gives her session."""
    await desk.say("I have a complaint.")
    await desk.gateway.told("ExecuteTransfer")
    assert "I will ask the supervisor." in await desk.said()
    operator = (await desk.sim.rest(f"/rooms/{desk.name}/dialOut/start", {"phoneNumber": OPERATOR}))["sessionId"]
    await desk.sim.until("dials", operator, "answered")
    hold = {"canReceive": {"base": False}}
    await desk.sim.rest(f"/rooms/{desk.name}/update-permissions", {"data": {desk.call["sessions"][0]: hold}})
    await desk.gateway.move("RINGING")
    await desk.gateway.move("BRIEFING")
    return operator


def with_briefing(brief: Any) -> Any:
    """The receptionist, who briefs in a way of her own."""

    async def bot(args: DailyRunnerArguments) -> None:
        make = Call.from_runner_args

        def mine(args: RunnerArguments) -> Call:
            call = make(args)
            call.on_briefing(lambda transfer: brief(call, transfer))
            return call

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Call, "from_runner_args", mine)
            await receptionist.bot(args)

    return bot


async def test_in_a_warm_transfer_the_operator_hears_the_summary_and_the_caller_does_not(desk: Desk):
    await desk.answered()
    operator = await brief(desk)
    said = await desk.heard("The caller wants to complain.")
    assert said["heard_by"] == [operator]
    await desk.gateway.told("FinishBriefing", n=1, declined=False)


async def test_a_caller_who_is_given_back_does_not_hear_the_rest_of_the_briefing(desk: Desk):
    async def long_winded(call: Call, transfer: Transfer) -> bool:
        await call.say("First of all, " + "this is a long story, " * 30)
        await call.say("and that is all.")
        return True

    await desk.answered(with_briefing(long_winded))
    await brief(desk)
    await desk.heard("First of all")
    await desk.gateway.move("FAILED", reason="declined")
    await desk.heard("nobody can come to the phone")
    assert not [text for text in await desk.said() if "and that is all" in text]


async def test_a_bot_may_ask_the_operator_and_give_the_caller_back(desk: Desk):
    async def declined(call: Call, transfer: Transfer) -> bool:
        assert transfer.summary == "The caller wants to complain."
        return False

    await desk.answered(with_briefing(declined))
    await brief(desk)
    await desk.gateway.told("FinishBriefing", n=1, declined=True)
    await desk.gateway.move("FAILED", reason="declined")
    await desk.heard("nobody can come to the phone")


async def test_a_bot_that_holds_the_room_is_silent_and_cannot_hang_up(desk: Desk):
    await desk.answered()
    await brief(desk)
    await desk.gateway.told("FinishBriefing")
    await desk.gateway.move("COMPLETED")
    await desk.some_heartbeats()
    before = await desk.said()
    await desk.say("When are you open? Goodbye.")  # to the operator
    await desk.some_heartbeats()
    assert await desk.said() == [*before, "When are you open? Goodbye."]
    assert "end" not in [path for path, _ in desk.gateway.asked]
    assert not desk.bot.done()


async def test_a_bot_that_is_only_to_hold_the_room_says_nothing(desk: Desk):
    await desk.open(bridge=True)
    desk.call = await desk.sim.until("calls", desk.call["id"], "connected")
    await desk.gateway.told("event", type="dialin.connected")
    await desk.some_heartbeats()
    assert await desk.said() == []
    assert not desk.bot.done()


@pytest.mark.parametrize("bridge", [True, False])
async def test_a_silent_bot_is_not_ended_for_having_nothing_to_do(bridge: bool, desk: Desk):
    async def nothing(worker: PipelineWorker) -> None: ...

    await desk.open(small(nothing, "on_pipeline_started", idle_timeout_secs=0.5), bridge=bridge)
    await desk.sim.until("calls", desk.call["id"], "connected")
    if bridge:
        for _ in range(3):
            await desk.some_heartbeats()
        assert not desk.bot.done()
    else:
        await desk.over()
        assert desk.gateway.asked[-1] == ("end", {"reason": "idle_timeout"})


async def test_an_operators_transfer_is_announced_too(desk: Desk):
    await desk.answered()
    await desk.gateway.move("REQUESTED", target="boss", announcement="The boss will take over.", requestedBy="key:ops")
    await desk.gateway.told("ExecuteTransfer", n=1)
    assert "The boss will take over." in await desk.said()


async def test_a_refused_transfer_is_told_to_the_llm(desk: Desk):
    await desk.answered()
    desk.gateway.refuse["RequestTransfer"] = (400, "failed_precondition")
    await desk.say("I want to talk to a person.")
    await desk.heard("nobody can come to the phone")
