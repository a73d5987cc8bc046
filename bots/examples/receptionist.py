# SPDX-License-Identifier: Apache-2.0
"""A receptionist: answers, connects to people, and hangs up when all is said.

Support is had cold: the caller is connected as soon as somebody answers. The supervisor is had warm: told first what it
is about.
"""

from pipecat.frames.frames import LLMRunFrame, TTSSpeakFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.runner.types import RunnerArguments
from pipecat.runner.utils import create_transport
from pipecat.workers.runner import WorkerRunner
from services import SCRIPTED, params, services

from trunkline import Call

PROMPT = """You are the receptionist of a small shop, on the phone. Be brief and friendly.
Who wants a person is transferred: to support, or to the supervisor if they complain."""
GREETING = "Hello, this is the shop. How can I help you?"


def script(heard: str) -> str | tuple[str, dict] | None:
    """What the receptionist says to what it hears, where there is no LLM."""
    heard = heard.lower()
    if heard.startswith("hello"):
        return None  # whoever answers the phone
    if "failed" in heard or "cancelled" in heard:
        return "I am sorry, nobody can come to the phone. Can I help you instead?"
    if "complain" in heard:
        return "transfer_to_supervisor", {"target": "supervisor", "summary": "The caller wants to complain."}
    if "person" in heard:
        return "transfer_call", {"target": "support", "summary": "The caller wants a person."}
    if "bye" in heard:
        return "end_call", {"reason": "the caller said goodbye"}
    return "Our shop is open from nine to five."


async def bot(runner_args: RunnerArguments) -> None:
    call = Call.from_runner_args(runner_args)
    if not await call.claim():
        return  # another bot has the call

    transport = await create_transport(call.runner_args(runner_args), {"daily": params})

    tools = [
        call.transfer_tool(["support"]),
        call.transfer_tool(
            ["supervisor"], name="transfer_to_supervisor", mode="warm", announcement="I will ask the supervisor."
        ),
        call.end_call_tool("Goodbye!"),
    ]
    context = LLMContext(messages=call.messages, tools=tools)
    use = services(call, transport, PROMPT, script)
    user, assistant = LLMContextAggregatorPair(context, user_params=use.user)
    worker = PipelineWorker(
        Pipeline([transport.input(), *use.hearing, user, use.llm, use.voice, transport.output(), assistant])
    )
    call.attach(transport, worker, context=context)

    @transport.event_handler("on_dialin_connected")
    async def on_dialin_connected(transport, data):
        await worker.queue_frame(TTSSpeakFrame(GREETING))

    @transport.event_handler("on_joined")
    async def on_joined(transport, data):
        if call.resumed and not call.bridge:  # the caller has been waiting
            asked = next((m["content"] for m in reversed(call.messages) if m.get("role") == "user"), None)
            again = f"You had said: {asked}" if SCRIPTED and asked else "Where were we?"
            await worker.queue_frame(TTSSpeakFrame(f"Sorry, I was away for a moment. {again}"))
            if call.messages and not SCRIPTED:
                await worker.queue_frame(LLMRunFrame())

    @transport.event_handler("on_dialin_stopped")
    async def on_dialin_stopped(transport, data):
        await worker.cancel(reason="the caller has gone")

    runner = WorkerRunner(handle_sigint=runner_args.handle_sigint)
    await runner.add_workers(worker)
    await call.run(runner)


if __name__ == "__main__":
    from pipecat.runner.run import main

    main()
