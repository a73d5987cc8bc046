# SPDX-License-Identifier: Apache-2.0
"""Services that need no key, for a Daily simulator: they follow a script, and speak without a sound.

What is said in the simulator comes as Daily's transcriptions; what the voice says is said there as text, in the time
that it would take.
"""

import uuid
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any

import aiohttp
from pipecat.classifiers.base_classifier import BaseClassifier, ChoiceResult
from pipecat.frames.frames import (
    Frame,
    FunctionCallFromLLM,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TTSAudioRawFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.llm_service import LLMService
from pipecat.services.settings import LLMSettings, TTSSettings
from pipecat.services.tts_service import TTSService
from pipecat.transports.daily.transport import DailyTransport

Tool = tuple[str, dict[str, Any]]
Script = Callable[[str], str | Tool | None]

WORDS_PER_SECOND = 12  # faster than anybody, so that nobody waits


class ScriptedLLM(LLMService):
    """Answers the last message with what the script has for it: a text, a function call, or nothing."""

    def __init__(self, script: Script) -> None:
        super().__init__(settings=LLMSettings(model="script", **dict.fromkeys(_UNSET)))
        self._script = script

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if not isinstance(frame, LLMContextFrame):
            await self.push_frame(frame, direction)
            return
        last: Any = frame.context.get_messages()[-1]
        answer = self._script(str(last.get("content")))
        if answer is None:
            return
        await self.push_frame(LLMFullResponseStartFrame())
        if isinstance(answer, str):
            await self.push_frame(LLMTextFrame(answer))
        else:
            name, arguments = answer
            call = FunctionCallFromLLM(
                function_name=name, tool_call_id=uuid.uuid4().hex, arguments=arguments, context=frame.context
            )
            await self.run_function_calls([call])
        await self.push_frame(LLMFullResponseEndFrame())


class ScriptedVoice(TTSService):
    """Speaks silence, and says the text in the simulator's room unless `quiet` says that nobody hears the bot."""

    def __init__(self, transport: DailyTransport, quiet: Callable[[], bool] = lambda: False) -> None:
        super().__init__(
            push_start_frame=True, push_stop_frames=True, settings=TTSSettings(model="", voice="", language=None)
        )
        self._transport = transport
        self._quiet = quiet

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        if not self._quiet():
            me = self._transport.participants()["local"]["id"]
            said = {"session_id": me, "text": text}
            async with aiohttp.ClientSession() as session:
                await session.post(f"{self._transport.room_url}/say", json=said)
        seconds = len(text.split()) / WORDS_PER_SECOND
        silence = bytes(2 * int(seconds * self.sample_rate))
        yield TTSAudioRawFrame(silence, self.sample_rate, 1, context_id=context_id)


class ScriptedClassifier(BaseClassifier):
    """Tells a voicemail greeting from a person by one word."""

    async def _ask(
        self, state: Any, questions: Mapping[str, Any], images: Sequence[Any] = ()
    ) -> tuple[dict[str, Any], None]:
        choices = {}
        for name, question in questions.items():
            machine = "voicemail" in str(state).lower()
            choice = next(o for o in question.options if (o == "voicemail") == machine)
            sure = {o: float(o == choice) for o in question.options}
            choices[name] = ChoiceResult(choice=choice, probabilities=sure, confidence=1.0)
        return choices, None


_UNSET = (
    "system_instruction",
    "temperature",
    "max_tokens",
    "top_p",
    "top_k",
    "frequency_penalty",
    "presence_penalty",
    "seed",
    "filter_incomplete_user_turns",
    "user_turn_completion_config",
)
