# SPDX-License-Identifier: Apache-2.0
"""The services of the examples: real ones, or with SCRIPTED=1 those that need no key."""

import os
from dataclasses import dataclass

from pipecat.classifiers.base_classifier import BaseClassifier
from pipecat.processors.aggregators.llm_response_universal import LLMUserAggregatorParams
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.transports.daily.transport import DailyParams, DailyTransport
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies
from scripted import Script, ScriptedClassifier, ScriptedLLM, ScriptedVoice

from trunkline import Call

SCRIPTED = bool(os.getenv("SCRIPTED"))


@dataclass
class Services:
    """What stands between the ears and the mouth of a bot."""

    hearing: list[FrameProcessor]
    llm: FrameProcessor
    voice: FrameProcessor
    user: LLMUserAggregatorParams
    classifier: BaseClassifier


def params() -> DailyParams:
    """Of the transport. A scripted bot hears by Daily's transcription."""
    return DailyParams(audio_in_enabled=True, audio_out_enabled=True, transcription_enabled=SCRIPTED)


def services(call: Call, transport: DailyTransport, prompt: str, script: Script) -> Services:
    if SCRIPTED:
        # Everybody in the room is heard, whenever they come.
        transport.add_event_handler("on_participant_joined", _hear)
        turns = UserTurnStrategies(stop=[SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=0.1)])
        return Services(
            hearing=[],
            llm=ScriptedLLM(script),
            voice=ScriptedVoice(transport, lambda: call.silent),
            user=LLMUserAggregatorParams(user_turn_strategies=turns),
            classifier=ScriptedClassifier(),
        )
    from pipecat.audio.vad.silero import SileroVADAnalyzer
    from pipecat.classifiers.llm import LLMClassifier
    from pipecat.services.cartesia.tts import CartesiaTTSService
    from pipecat.services.deepgram.stt import DeepgramSTTService
    from pipecat.services.openai.llm import OpenAILLMService

    key, voice = os.environ["OPENAI_API_KEY"], os.environ["CARTESIA_VOICE_ID"]
    return Services(
        hearing=[DeepgramSTTService(api_key=os.environ["DEEPGRAM_API_KEY"])],
        llm=OpenAILLMService(api_key=key, settings=OpenAILLMService.Settings(system_instruction=prompt)),
        voice=CartesiaTTSService(
            api_key=os.environ["CARTESIA_API_KEY"], settings=CartesiaTTSService.Settings(voice=voice)
        ),
        user=LLMUserAggregatorParams(vad_analyzer=SileroVADAnalyzer()),
        classifier=LLMClassifier(llm=OpenAILLMService(api_key=key)),
    )


async def _hear(transport: DailyTransport, participant: dict) -> None:
    await transport.capture_participant_transcription(participant["id"])
