# SPDX-License-Identifier: Apache-2.0
"""The helper's tools, driven by Pipecat's own test utilities."""

from typing import Any
from unittest.mock import AsyncMock

import pytest
from conftest import Gateway
from pipecat.adapters.llm.schemas.direct_function import DirectFunctionWrapper
from pipecat.frames.frames import FunctionCallResultFrame, LLMContextFrame
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.runner.types import RunnerArguments
from pipecat.services.llm_service import FunctionCallParams
from pipecat.tests.utils import SleepFrame, run_test
from scripted import ScriptedLLM

from trunkline import Call, State, Target, TransferRefused


def call_of(gateway: Gateway, **job: Any) -> Call:
    return Call.from_runner_args(RunnerArguments(body={"trunkline": gateway.job(**job)}, session_id="s"))


async def use(tool: Any, **arguments: Any) -> tuple[dict, Any]:
    """Calls a tool by hand, as an LLM service does, and gives its result; there must be exactly one."""
    tell = AsyncMock()
    params = FunctionCallParams(
        function_name=tool.__name__, tool_call_id="t1", arguments=arguments, llm=None, pipeline_worker=None,
        context=LLMContext(), result_callback=tell,
    )  # fmt: skip
    await DirectFunctionWrapper(tool).invoke(arguments, params)
    tell.assert_awaited_once()
    return tell.await_args.args[0], tell.await_args.kwargs.get("properties")


def test_the_llm_sees_names_and_what_they_are_for():
    call = Call.from_runner_args(RunnerArguments())
    targets = [Target("support", description="questions about orders"), "boss"]
    schema = DirectFunctionWrapper(call.transfer_tool(targets)).to_function_schema()
    assert schema.name == "transfer_call"
    assert schema.required == ["target", "summary"]
    assert "- support: questions about orders\n- boss" in schema.description.replace("    ", "")
    assert DirectFunctionWrapper(call.end_call_tool()).to_function_schema().required == ["reason"]


async def test_an_llm_service_gets_the_tools_result_and_does_not_talk_over_the_announcement(gateway: Gateway):
    call = call_of(gateway)
    context = LLMContext(messages=[{"role": "user", "content": "A person, please."}], tools=[call.transfer_tool()])
    llm = ScriptedLLM(lambda heard: ("transfer_call", {"target": "support", "summary": "He wants a person."}))
    down, _ = await run_test(llm, frames_to_send=[LLMContextFrame(context), SleepFrame(0.5)])
    (result,) = [frame for frame in down if isinstance(frame, FunctionCallResultFrame)]
    assert result.result == {"status": "accepted", "target": "support"}
    assert result.properties.run_llm is False
    assert (await gateway.told("RequestTransfer"))["idempotencyKey"] == result.tool_call_id


@pytest.mark.parametrize(
    ("job", "refuse", "reason"),
    [
        ({}, (400, "failed_precondition"), "failed_precondition"),
        ({}, (404, "not_found"), "not_found"),
        ({"transfer_url": ""}, None, "cannot be transferred"),
        ({"bridge": True}, None, "somebody else"),
    ],
    ids=["another is under way", "an unknown target", "no transfers here", "a silent bot"],
)
async def test_a_transfer_that_cannot_be_is_told_to_the_llm(job: dict, refuse: Any, reason: str, gateway: Gateway):
    if refuse:
        gateway.refuse["RequestTransfer"] = refuse
    result, properties = await use(call_of(gateway, **job).transfer_tool(), target="support", summary="s")
    assert result["status"] == "failed"
    assert reason in result["reason"]
    assert properties is None, "the LLM is to say so"


async def test_the_end_is_asked_for_once(gateway: Gateway):
    call = call_of(gateway)
    result, properties = await use(call.end_call_tool(), reason="all is said")
    assert (result, properties.run_llm) == ({"status": "ended"}, False)
    await call.hang_up()
    assert gateway.asked == [("end", {"reason": "all is said"})]


async def test_a_silent_bot_does_not_end_the_call(gateway: Gateway):
    result, _ = await use(call_of(gateway, bridge=True).end_call_tool(), reason="I was told to")
    assert result["status"] == "failed"
    assert gateway.asked == []


async def test_transfers_can_be_asked_for_without_an_llm(gateway: Gateway):
    call = call_of(gateway)
    assert await call.targets() == [Target("support", ("cold",), True)]
    transfer = await call.transfer("support", mode="warm", summary="s", idempotency_key="k")
    assert (transfer.n, transfer.state, transfer.revision) == (1, State.REQUESTED, 1)
    await call.cancel_transfer(transfer, "he changed his mind")
    await gateway.told("CancelTransfer", call="c1", n=1, detail="he changed his mind")
    gateway.refuse["RequestTransfer"] = (400, "failed_precondition")
    with pytest.raises(TransferRefused) as refused:
        await call.transfer("support")
    assert refused.value.code == "failed_precondition"


def test_a_call_without_trunkline_is_inert():
    args = RunnerArguments(body={"room_url": "http://x/y", "token": "t"})
    call = Call.from_runner_args(args)
    assert not call.active
    assert call.runner_args(args) is args
    assert (call.messages, dict(call.metadata), call.resumed, call.bridge) == ([], {}, False, False)


def test_a_room_in_the_body_becomes_runner_arguments(gateway: Gateway):
    body = {"room_url": "http://x/y", "token": "t", "trunkline": gateway.job(metadata={"order": 7}, unknown="?")}
    args = RunnerArguments(body=body, session_id="s")
    call = Call.from_runner_args(args)
    mine = call.runner_args(args)
    assert (mine.room_url, mine.token, mine.body, mine.session_id) == ("http://x/y", "t", body, "s")
    assert call.runner_args(mine) is mine
    assert call.metadata == {"order": 7}
    assert gateway.token not in repr(call.job)
