# SPDX-License-Identifier: Apache-2.0
"""A stand-in for Daily's Python client, for the rooms of Trunkline's Daily simulator.

It has the names and signatures of daily-python 0.36 that Pipecat uses. What happens in a room is real as far as the
simulator goes; audio is silence, and video is nothing.
"""

from .client import CallClient
from .devices import (
    AudioData,
    CustomAudioSource,
    CustomAudioTrack,
    CustomVideoSource,
    CustomVideoTrack,
    Daily,
    LogLevel,
    NativeVad,
    VideoFrame,
    VirtualCameraDevice,
    VirtualMicrophoneDevice,
    VirtualSpeakerDevice,
)
from .handler import EventHandler

__all__ = [
    "AudioData",
    "CallClient",
    "CustomAudioSource",
    "CustomAudioTrack",
    "CustomVideoSource",
    "CustomVideoTrack",
    "Daily",
    "EventHandler",
    "LogLevel",
    "NativeVad",
    "VideoFrame",
    "VirtualCameraDevice",
    "VirtualMicrophoneDevice",
    "VirtualSpeakerDevice",
]
