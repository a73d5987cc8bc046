# SPDX-License-Identifier: Apache-2.0
"""A reminder: Trunkline calls somebody, and the bot tells them of their appointment, or their voicemail.

What it is about is in the metadata of the request: `{"name": "Ann", "appointment": "Monday at nine"}`.
"""

from pipecat.extensions.voicemail.voicemail_detector import VoicemailDetector
from pipecat.frames.frames import EndWorkerFrame, TTSSpeakFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.runner.types import RunnerArguments
from pipecat.runner.utils import create_transport
from pipecat.workers.runner import WorkerRunner
from services import SCRIPTED, params, services

from trunkline import Call

PROMPT = """You call somebody to remind them of an appointment. Be brief and friendly.
When they have understood, end the call."""


def script(heard: str) -> str | tuple[str, dict] | None:
    """What the bot says to what it hears, where there is no LLM."""
    heard = heard.lower()
    if "thank" in heard or "bye" in heard:
        return "end_call", {"reason": "reminded"}
    return None


async def bot(runner_args: RunnerArguments) -> None:
    call = Call.from_runner_args(runner_args)
    if not await call.claim():
        return

    name = call.metadata.get("name", "there")
    message = f"Hello {name}, a reminder of your appointment {call.metadata.get('appointment', 'with us')}."

    transport = await create_transport(call.runner_args(runner_args), {"daily": params})
    context = LLMContext(messages=call.messages, tools=[call.end_call_tool("Goodbye!")])
    use = services(call, transport, PROMPT, script)
    user, assistant = LLMContextAggregatorPair(context, user_params=use.user)
    # Nobody talks in the simulator's silence, and so it need not be waited for.
    waits = {"voicemail_response_delay": 0.1, "decision_timeout": 0.1} if SCRIPTED else {}
    voicemail = VoicemailDetector(classifier=use.classifier, **waits)
    worker = PipelineWorker(
        Pipeline(
            [
                transport.input(),
                *use.hearing,
                voicemail.detector(),
                user,
                use.llm,
                use.voice,
                voicemail.gate(),
                transport.output(),
                assistant,
            ]
        )
    )
    call.attach(transport, worker, context=context, voicemail=voicemail)

    @voicemail.event_handler("on_conversation_detected")
    async def on_conversation_detected(detector):
        await worker.queue_frame(TTSSpeakFrame(message))

    @voicemail.event_handler("on_voicemail_detected")
    async def on_voicemail_detected(detector):
        await detector.push_frame(TTSSpeakFrame(message))
        await detector.push_frame(EndWorkerFrame(reason="the message is left"))

    @transport.event_handler("on_dialout_stopped")
    async def on_dialout_stopped(transport, data):
        await worker.cancel(reason="the person has gone")

    @transport.event_handler("on_dialout_error")
    async def on_dialout_error(transport, data):
        await worker.cancel(reason="nobody was reached")

    runner = WorkerRunner(handle_sigint=runner_args.handle_sigint)
    await runner.add_workers(worker)
    await call.run(runner)


if __name__ == "__main__":
    from pipecat.runner.run import main

    main()
