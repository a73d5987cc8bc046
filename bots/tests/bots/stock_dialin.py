# SPDX-License-Identifier: Apache-2.0
"""A dial-in bot as Pipecat's guide has it: it has never heard of Trunkline."""

from pipecat.frames.frames import TTSSpeakFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.runner.types import RunnerArguments
from pipecat.runner.utils import create_transport
from pipecat.transports.daily.transport import DailyParams
from pipecat.workers.runner import WorkerRunner
from voice import ScriptedVoice

transport_params = {"daily": lambda: DailyParams(audio_in_enabled=True, audio_out_enabled=True)}


async def bot(runner_args: RunnerArguments):
    transport = await create_transport(runner_args, transport_params)
    worker = PipelineWorker(Pipeline([transport.input(), ScriptedVoice(transport), transport.output()]))

    @transport.event_handler("on_client_connected")
    async def on_client_connected(transport, participant):
        await worker.queue_frame(TTSSpeakFrame("This is a stock bot."))

    @transport.event_handler("on_dialin_stopped")
    async def on_dialin_stopped(transport, data):
        await worker.cancel()

    @transport.event_handler("on_dialin_error")
    async def on_dialin_error(transport, data):
        await worker.cancel()

    runner = WorkerRunner(handle_sigint=runner_args.handle_sigint)
    await runner.add_workers(worker)
    await runner.run()


if __name__ == "__main__":
    from pipecat.runner.run import main

    main()
