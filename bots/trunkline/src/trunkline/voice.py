# SPDX-License-Identifier: Apache-2.0
"""What the bot says, and that it says nothing."""

from typing import Any

from loguru import logger
from pipecat.frames.frames import (
    InterruptionWorkerFrame,
    LLMMessagesAppendFrame,
    STTMuteFrame,
    TTSSpeakFrame,
    UserSpeakingFrame,
)
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.frame_processor import FrameDirection
from pipecat.transports.base_transport import BaseTransport


class Voice:
    """A bot's voice, by way of its pipeline."""

    def __init__(self, transport: BaseTransport, worker: PipelineWorker) -> None:
        self._transport = transport
        self._worker = worker
        self.silent = False

    async def say(self, text: str, *, interruptible: bool = True) -> None:
        """Says it, and returns when it has been heard, or somebody has talked over it."""
        if self.silent or not text:
            return
        frame = TTSSpeakFrame(text)
        frame.interruptible = interruptible
        await self._worker.queue_frame(frame)
        await self.flush()

    async def flush(self) -> None:
        """Returns when everything has been said that there was to say."""
        await self._worker.flush_pipeline()

    async def stop_talking(self) -> None:
        """Cuts off what is being said."""
        await self._worker.queue_frame(InterruptionWorkerFrame(), FrameDirection.UPSTREAM)

    async def deafen(self, deaf: bool) -> None:
        """Keeps what is said in the room from the bot, as far as it goes through a speech-to-text service."""
        await self._worker.queue_frame(STTMuteFrame(mute=deaf))

    async def fall_silent(self) -> None:
        """Nobody hears the bot from here on, and it does not listen. There is no way back."""
        if self.silent:
            return
        self.silent = True
        await self.stop_talking()
        await self.deafen(True)
        if publish := getattr(self._transport, "update_publishing", None):
            await publish({"microphone": {"isPublishing": False}})
        params = getattr(self._transport, "_params", None)
        if getattr(params, "transcription_enabled", False):  # Daily's own, which no service of the pipeline mutes
            await self._transport.stop_transcription()  # type: ignore[attr-defined]
        logger.info("the bot is silent")

    async def stay_awake(self) -> None:
        """Keeps a silent pipeline from ending for want of anything to do: it holds the room."""
        await self._worker.queue_frame(UserSpeakingFrame())

    async def tell_llm(self, text: str) -> None:
        """Lets the LLM know, and answer."""
        message: Any = {"role": "system", "content": text}
        await self._worker.queue_frame(LLMMessagesAppendFrame([message], run_llm=True))
