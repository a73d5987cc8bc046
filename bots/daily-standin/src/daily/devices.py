# SPDX-License-Identifier: Apache-2.0
"""Microphones, speakers and cameras. What is written is played to nobody, in the time that it takes; what is read is
silence."""

import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from .clock import clock

SAMPLE = 2  # bytes: audio is 16 bit


class LogLevel(Enum):
    Off = 0
    Error = 1
    Warn = 2
    Info = 3
    Debug = 4
    Trace = 5


@dataclass(frozen=True)
class AudioData:
    bits_per_sample: int
    sample_rate: int
    num_channels: int
    num_audio_frames: int
    audio_frames: bytes


@dataclass(frozen=True)
class VideoFrame:
    buffer: bytes
    width: int
    height: int
    timestamp_us: int
    color_format: str


class _Pace:
    """The time at which what has been handed over will be over: the next follows it without a gap."""

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self._until = 0.0
        self._lock = threading.Lock()

    def take(self, frames: int) -> float:
        with self._lock:
            self._until = max(self._until, time.monotonic()) + frames / self.sample_rate
            return self._until


class _AudioSink:
    """Takes audio in real time."""

    def __init__(self, sample_rate: int, channels: int) -> None:
        self.sample_rate = sample_rate
        self.channels = channels
        self._pace = _Pace(sample_rate)

    def write_frames(self, frame: bytes, completion: Callable[[int], None] | None = None) -> int:
        """Takes the frames, and completes with their number when they have been played; with no completion it waits."""
        frames = len(frame) // (SAMPLE * self.channels)
        done = self._pace.take(frames)
        if completion is None:
            time.sleep(max(0.0, done - time.monotonic()))
            return frames
        clock.at(done, lambda: completion(frames))
        return 0


class CustomAudioSource(_AudioSink):
    def __init__(self, sample_rate: int, channels: int, auto_silence: bool = True) -> None:
        super().__init__(sample_rate, channels)


class VirtualMicrophoneDevice(_AudioSink):
    def __init__(self, name: str, sample_rate: int, channels: int) -> None:
        super().__init__(sample_rate, channels)
        self.name = name


class CustomAudioTrack:
    def __init__(self, audio_source: CustomAudioSource) -> None:
        self.id = str(uuid.uuid4())


class VirtualSpeakerDevice:
    def __init__(self, name: str, sample_rate: int, channels: int) -> None:
        self.name = name
        self.sample_rate = sample_rate
        self.channels = channels
        self._pace = _Pace(sample_rate)

    def read_frames(self, num_frame: int, completion: Callable[[bytes], None] | None = None) -> bytes:
        """Gives silence when so much time has passed."""
        silence = bytes(num_frame * SAMPLE * self.channels)
        done = self._pace.take(num_frame)
        if completion is None:
            time.sleep(max(0.0, done - time.monotonic()))
            return silence
        clock.at(done, lambda: completion(silence))
        return b""


class CustomVideoSource:
    def __init__(self, width: int, height: int, color_format: str = "RGBA") -> None:
        self.width = width
        self.height = height
        self.color_format = color_format

    def write_frame(self, frame: bytes) -> None:
        """Shows it to nobody."""


class CustomVideoTrack:
    def __init__(self, video_source: CustomVideoSource) -> None:
        self.id = str(uuid.uuid4())


class VirtualCameraDevice(CustomVideoSource):
    def __init__(self, name: str, width: int, height: int, color_format: str) -> None:
        super().__init__(width, height, color_format)
        self.name = name


class NativeVad:
    """Hears nobody."""

    def __init__(self, reset_period_ms: int, sample_rate: int, channels: int) -> None:
        self.reset_period_ms = reset_period_ms
        self.sample_rate = sample_rate
        self.channels = channels

    def analyze_frames(self, frame: bytes) -> float:
        return 0.0


class Daily:
    """What a process has once."""

    @staticmethod
    def init(worker_threads: int = 2, log_level: LogLevel = LogLevel.Off) -> None: ...

    @staticmethod
    def deinit() -> None: ...

    @staticmethod
    def set_log_level(log_level: LogLevel) -> None: ...

    @staticmethod
    def create_camera_device(
        device_name: str, width: int, height: int, color_format: str = "RGBA"
    ) -> VirtualCameraDevice:
        return VirtualCameraDevice(device_name, width, height, color_format)

    @staticmethod
    def create_speaker_device(
        device_name: str, sample_rate: int = 16000, channels: int = 1, non_blocking: bool = False
    ) -> VirtualSpeakerDevice:
        return VirtualSpeakerDevice(device_name, sample_rate, channels)

    @staticmethod
    def create_microphone_device(
        device_name: str, sample_rate: int = 16000, channels: int = 1, non_blocking: bool = False
    ) -> VirtualMicrophoneDevice:
        return VirtualMicrophoneDevice(device_name, sample_rate, channels)

    @staticmethod
    def create_native_vad(reset_period_ms: int = 500, sample_rate: int = 16000, channels: int = 1) -> NativeVad:
        return NativeVad(reset_period_ms, sample_rate, channels)

    @staticmethod
    def select_speaker_device(device_name: str) -> None: ...
