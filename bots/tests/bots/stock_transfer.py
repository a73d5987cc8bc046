# SPDX-License-Identifier: Apache-2.0
"""A cold-transfer bot as Pipecat's example has it: it sends its caller away with sip_call_transfer, by itself."""

import os

from pipecat.frames.frames import TTSSpeakFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.runner.types import RunnerArguments
from pipecat.runner.utils import create_transport
from pipecat.transports.daily.transport import DailyParams
from pipecat.workers.runner import WorkerRunner
from voice import ScriptedVoice


async def bot(runner_args: RunnerArguments):
    transport = await create_transport(
        runner_args, {"daily": lambda: DailyParams(audio_in_enabled=True, audio_out_enabled=True)}
    )
    worker = PipelineWorker(Pipeline([transport.input(), ScriptedVoice(transport), transport.output()]))

    @transport.event_handler("on_dialin_connected")
    async def on_dialin_connected(transport, data):
        await worker.queue_frame(TTSSpeakFrame("I will connect you."))
        await worker.flush_pipeline()
        error = await transport.sip_call_transfer(
            {"sessionId": data["sessionId"], "toEndPoint": os.environ["OPERATOR_NUMBER"]}
        )
        if error:
            await worker.queue_frame(TTSSpeakFrame(f"It did not work: {error}"))

    @transport.event_handler("on_dialin_stopped")
    async def on_dialin_stopped(transport, data):
        await worker.cancel()

    runner = WorkerRunner(handle_sigint=runner_args.handle_sigint)
    await runner.add_workers(worker)
    await runner.run()
