# SPDX-License-Identifier: Apache-2.0
"""A dial-out bot as Pipecat's examples have it: it dials when it has joined, and again after errors, five times."""

from pipecat.frames.frames import TTSSpeakFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.runner.types import RunnerArguments
from pipecat.transports.daily.transport import DailyParams, DailyTransport
from pipecat.workers.runner import WorkerRunner
from pydantic import BaseModel
from voice import ScriptedVoice


class DialoutSettings(BaseModel):
    phone_number: str
    caller_id: str | None = None


class DialoutManager:
    def __init__(self, transport: DailyTransport, settings: DialoutSettings, max_retries: int = 5):
        self._transport, self._settings, self._left, self.answered = transport, settings, max_retries, False

    async def attempt_dialout(self) -> bool:
        if self.answered or not self._left:
            return False
        self._left -= 1
        params = {"phoneNumber": self._settings.phone_number, "displayName": self._settings.phone_number}
        if self._settings.caller_id:
            params["callerId"] = self._settings.caller_id
        await self._transport.start_dialout(params)
        return True


async def bot(runner_args: RunnerArguments):
    settings = DialoutSettings.model_validate(runner_args.body["dialout_settings"])
    transport = DailyTransport(
        runner_args.room_url,
        runner_args.token,
        "Dial-out bot",
        DailyParams(audio_in_enabled=True, audio_out_enabled=True),
    )
    worker = PipelineWorker(Pipeline([transport.input(), ScriptedVoice(transport), transport.output()]))
    dialout = DialoutManager(transport, settings)

    @transport.event_handler("on_joined")
    async def on_joined(transport, data):
        await dialout.attempt_dialout()

    @transport.event_handler("on_dialout_answered")
    async def on_dialout_answered(transport, data):
        dialout.answered = True
        await worker.queue_frame(TTSSpeakFrame("Hello from the bot that calls."))

    @transport.event_handler("on_dialout_error")
    async def on_dialout_error(transport, data):
        if not await dialout.attempt_dialout():
            await worker.cancel()

    @transport.event_handler("on_dialout_stopped")
    async def on_dialout_stopped(transport, data):
        await worker.cancel()

    runner = WorkerRunner(handle_sigint=runner_args.handle_sigint)
    await runner.add_workers(worker)
    await runner.run()
