# SPDX-License-Identifier: Apache-2.0
"""One client in one room."""

import threading
import traceback
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from .devices import AudioData, CustomAudioTrack, CustomVideoTrack, VideoFrame
from .handler import EventHandler
from .people import GREETINGS, REASONS, participant, transcription
from .room import Refused, Room, ask

Done = Callable[[str | None], None] | None
Given = Callable[[str, str | None], None] | None

NOT_SIMULATED = "the simulator has no such thing"


class CallClient:
    """Daily's client as far as Pipecat uses it.

    No method waits. What has a completion is done when that is called, on another thread, with the error as a text or
    None; nothing is raised.
    """

    def __init__(self, event_handler: EventHandler | None = None) -> None:
        self._handler = event_handler or EventHandler()
        self._lock = threading.Lock()
        self._user_name = ""
        self._room: Room | None = None
        self._reader: threading.Thread | None = None
        self._released = False
        self._me = ""
        self._people: dict[str, dict[str, Any]] = {}
        self._transcribing = False
        self._transcribed: list[str] | None = None  # None is everybody
        self._inputs: dict[str, Any] = {}
        self._publishing: dict[str, Any] = {}
        self._subscriptions: dict[str, Any] = {}
        self._profiles: dict[str, Any] = {}

    # In and out

    def set_user_name(self, user_name: str) -> None:
        self._user_name = user_name

    def join(
        self,
        meeting_url: str,
        meeting_token: str | None = None,
        client_settings: Mapping[str, Any] | None = None,
        completion: Callable[[Mapping[str, Any] | None, str | None], None] | None = None,
    ) -> None:
        settings = dict(client_settings or {})
        self._inputs = dict(settings.get("inputs", {}))
        self._publishing = dict(settings.get("publishing", {}))

        def visit() -> None:
            self._tell("on_call_state_updated", "joining")
            try:
                room = Room(meeting_url, meeting_token, self._user_name)
            except Refused as e:
                self._tell("on_call_state_updated", "left")
                self._complete(completion, None, str(e))
                return
            self._stay(room, completion)

        self._reader = threading.Thread(target=visit, name="daily-room", daemon=True)
        self._reader.start()

    def _stay(self, room: Room, completion: Callable[..., None] | None) -> None:
        present = room.joined["participants"]
        with self._lock:
            self._room = room
            self._me = room.joined["session_id"]
            self._people = {key: participant(seen, key == "local") for key, seen in present.items()}
            others = [someone for key, someone in self._people.items() if key != "local"]
        session = {"id": room.joined["meeting_session"]["id"]}
        self._complete(completion, {"participants": self.participants(), "meetingSession": session}, None)
        self._tell("on_call_state_updated", "joined")
        for someone in others:  # who was there is met as well as who comes
            self._tell("on_participant_joined", someone)
        why = "the connection to the room is lost"
        for event in room.events():
            if event["event"] in ("ejected", "room-ended"):
                why = f"{event['event']}: {event.get('type', '')}"
            self._happened(event)
        with self._lock:
            thrown_out = self._room is room
            self._room = None
        if thrown_out:
            room.close()
            self._tell("on_error", why)
            self._tell("on_call_state_updated", "left")

    def leave(self, completion: Done = None) -> None:
        def go() -> None:
            with self._lock:
                room, self._room = self._room, None
            if room is not None:
                self._tell("on_call_state_updated", "leaving")
                room.close()
                if self._reader is not None and self._reader is not threading.current_thread():
                    self._reader.join(2)
                self._tell("on_call_state_updated", "left")
            self._complete(completion, None)

        self._start(go)

    def release(self) -> None:
        """Nothing is told from here on. Who is still inside has left."""
        self._released = True
        with self._lock:
            room, self._room = self._room, None
        if room is not None:
            room.close()

    # Who is there

    def participants(self) -> Mapping[str, Any]:
        with self._lock:
            return dict(self._people)

    def participant_counts(self) -> Mapping[str, Any]:
        return {"present": len(self.participants()), "hidden": 0}

    def active_speaker(self) -> Mapping[str, Any]:
        return {}

    def update_remote_participants(self, remote_participants: Mapping[str, Any], completion: Done = None) -> None:
        self._ask("/participants/update", {"remote_participants": dict(remote_participants)}, completion)

    def eject_remote_participants(self, ids: list[str], completion: Done = None) -> None:
        self._complete_soon(completion, NOT_SIMULATED)

    def update_permissions(self, permissions: Mapping[str, Any], completion: Done = None) -> None:
        self._complete_soon(completion, None)

    # Phones

    def start_dialout(self, settings: Mapping[str, Any], completion: Given = None) -> None:
        def dial() -> None:
            try:
                answer = self._request("/dialout/start", {"settings": dict(settings)})
            except Refused as e:
                self._complete(completion, "", str(e))
            else:
                self._complete(completion, answer.get("sessionId", ""), None)

        self._start(dial)

    def stop_dialout(self, participant_id: str | None = None, completion: Done = None) -> None:
        self._ask("/dialout/stop", {"participant_id": participant_id}, completion)

    def sip_call_transfer(self, settings: Mapping[str, Any], completion: Done = None) -> None:
        self._ask("/sip-call-transfer", {"settings": dict(settings)}, completion)

    def sip_refer(self, settings: Mapping[str, Any], completion: Done = None) -> None:
        self._ask("/sip-refer", {"settings": dict(settings)}, completion)

    def send_dtmf(self, settings: Mapping[str, Any], completion: Done = None) -> None:
        self._complete_soon(completion, NOT_SIMULATED)

    # What is said

    def start_transcription(self, settings: Mapping[str, Any] | None = None, completion: Done = None) -> None:
        """From here on what somebody says in the simulator is told as a transcription."""

        def start() -> None:
            self._transcribing = True
            self._complete(completion, None)
            self._tell("on_transcription_started", {"startedBy": self._me, "instanceId": str(uuid.uuid4())})

        self._start(start)

    def update_transcription(
        self, participants: list[str] | None = None, instance_id: str | None = None, completion: Done = None
    ) -> None:
        self._transcribed = participants
        self._complete_soon(completion, None)

    def stop_transcription(self, completion: Done = None) -> None:
        def stop() -> None:
            self._transcribing = False
            self._complete(completion, None)
            self._tell("on_transcription_stopped", self._me, False)

        self._start(stop)

    def send_app_message(
        self,
        message: Any,
        participant_id: str | None = None,
        serialize_none: bool = True,
        completion: Done = None,
    ) -> None:
        """Nobody in the simulator reads it."""
        self._complete_soon(completion, None)

    def send_prebuilt_chat_message(self, message: str, user_name: str | None = None, completion: Done = None) -> None:
        """Nobody in the simulator reads it."""
        self._complete_soon(completion, None)

    # Recordings

    def start_recording(
        self,
        streaming_settings: Mapping[str, Any] | None = None,
        stream_id: str | None = None,
        force_new: bool | None = None,
        completion: Given = None,
    ) -> None:
        self._complete_soon(completion, "", NOT_SIMULATED)

    def stop_recording(self, stream_id: str | None = None, completion: Done = None) -> None:
        self._complete_soon(completion, NOT_SIMULATED)

    # Media: taken note of, and that is all until the simulator has audio

    def inputs(self) -> Mapping[str, Any]:
        return self._inputs

    def update_inputs(self, input_settings: Mapping[str, Any], completion: Done = None) -> None:
        self._inputs.update(input_settings)
        self._complete_soon(completion, None)

    def publishing(self) -> Mapping[str, Any]:
        return self._publishing

    def update_publishing(self, publishing_settings: Mapping[str, Any], completion: Done = None) -> None:
        self._publishing.update(publishing_settings)
        self._complete_soon(completion, None)

    def subscriptions(self) -> Mapping[str, Any]:
        return self._subscriptions

    def update_subscriptions(
        self,
        participant_settings: Mapping[str, Any] | None = None,
        profile_settings: Mapping[str, Any] | None = None,
        completion: Done = None,
    ) -> None:
        self._subscriptions.update(participant_settings or {})
        self._profiles.update(profile_settings or {})
        self._complete_soon(completion, None)

    def subscription_profiles(self) -> Mapping[str, Any]:
        return self._profiles

    def update_subscription_profiles(self, profile_settings: Mapping[str, Any], completion: Done = None) -> None:
        self._profiles.update(profile_settings)
        self._complete_soon(completion, None)

    def set_audio_renderer(
        self,
        participant_id: str,
        callback: Callable[[str, AudioData, str], None],
        audio_source: str = "microphone",
        sample_rate: int = 16000,
        callback_interval_ms: int = 20,
    ) -> None: ...

    def set_video_renderer(
        self,
        participant_id: str,
        callback: Callable[[str, VideoFrame, str], None],
        video_source: str = "camera",
        color_format: str = "RGBA",
    ) -> None: ...

    def add_custom_audio_track(
        self,
        track_name: str,
        audio_track: CustomAudioTrack,
        ignore_audio_level: bool | None = None,
        completion: Done = None,
    ) -> None:
        self._complete_soon(completion, None)

    def update_custom_audio_track(
        self,
        track_name: str,
        audio_track: CustomAudioTrack,
        ignore_audio_level: bool | None = None,
        completion: Done = None,
    ) -> None:
        self._complete_soon(completion, None)

    def remove_custom_audio_track(self, track_name: str, completion: Done = None) -> None:
        self._complete_soon(completion, None)

    def add_custom_video_track(self, track_name: str, video_track: CustomVideoTrack, completion: Done = None) -> None:
        self._complete_soon(completion, None)

    def update_custom_video_track(
        self, track_name: str, video_track: CustomVideoTrack, completion: Done = None
    ) -> None:
        self._complete_soon(completion, None)

    def remove_custom_video_track(self, track_name: str, completion: Done = None) -> None:
        self._complete_soon(completion, None)

    def get_network_stats(self) -> Mapping[str, Any]:
        return {}

    # Below the surface

    def _happened(self, event: dict[str, Any]) -> None:
        data = {key: value for key, value in event.items() if key != "event"}
        match event["event"]:
            case "dialin-ready":
                self._tell("on_dialin_ready", data["sipEndpoint"])
            case "participant-joined" | "participant-updated":
                someone = participant(data["participant"])
                with self._lock:
                    key = "local" if someone["id"] == self._me else someone["id"]
                    known = key in self._people
                    someone["info"]["isLocal"] = key == "local"
                    self._people[key] = someone
                self._tell("on_participant_updated" if known else "on_participant_joined", someone)
            case "participant-left":
                someone = participant(data["participant"])
                with self._lock:
                    self._people.pop(someone["id"], None)
                reason = data.get("reason", "left")
                self._tell("on_participant_left", someone, REASONS.get(reason, reason))
            case "sim-said":
                self._heard(data["sessionId"], data["text"])
            case "sim-heard":
                self._heard(data["sessionId"], GREETINGS.get(data["who"], ""))
            case kind:
                if kind.startswith(("dialin-", "dialout-")):
                    self._tell("on_" + kind.replace("-", "_"), data)

    def _heard(self, session_id: str, text: str) -> None:
        if self._transcribing and (self._transcribed is None or session_id in self._transcribed):
            self._tell("on_transcription_message", transcription(session_id, text))

    def _tell(self, event: str, *args: Any) -> None:
        if self._released:
            return
        try:
            getattr(self._handler, event)(*args)
        except Exception:
            if not self._released:  # it may be too late for whoever listens
                traceback.print_exc()

    def _request(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            room, me = self._room, self._me
        if room is None:
            raise Refused("not in a room")
        return ask(room.url, path, {"session_id": me} | body)

    def _ask(self, path: str, body: dict[str, Any], completion: Done) -> None:
        def request() -> None:
            try:
                self._request(path, body)
            except Refused as e:
                self._complete(completion, str(e))
            else:
                self._complete(completion, None)

        self._start(request)

    def _complete_soon(self, completion: Callable[..., None] | None, *result: Any) -> None:
        if completion is not None:
            self._start(lambda: self._complete(completion, *result))

    def _complete(self, completion: Callable[..., None] | None, *result: Any) -> None:
        if completion is None:
            return
        try:
            completion(*result)
        except RuntimeError:
            pass  # whoever waited has gone, and its event loop with it

    @staticmethod
    def _start(work: Callable[[], None]) -> None:
        threading.Thread(target=work, name="daily-request", daemon=True).start()
