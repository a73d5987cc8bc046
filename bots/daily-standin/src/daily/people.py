# SPDX-License-Identifier: Apache-2.0
"""Those who are in a room, and what is heard of them, in daily-python's words."""

from datetime import UTC, datetime
from typing import Any

OFF = {"state": "off", "subscribed": "unsubscribed", "offReasons": ["user"]}
HEARD = {"state": "playable", "subscribed": "subscribed", "offReasons": []}

# What ears would tell of whoever has answered.
GREETINGS = {
    "person": "Hello?",
    "machine": "You have reached the voicemail box. Please leave a message after the tone.",
}

REASONS = {"left": "leftCall"}


def participant(seen: dict[str, Any], local: bool = False) -> dict[str, Any]:
    """Somebody, of what the join protocol tells of them."""
    info = {
        "isLocal": local,
        "isOwner": seen.get("owner", False),
        "joinedAt": datetime.fromtimestamp(seen.get("joinedAt", 0), UTC).isoformat(),
        "permissions": seen.get("permissions", {}),
        "userId": seen.get("userId", ""),
        "userName": seen.get("userName", ""),
    }
    if kind := seen.get("participantType"):
        info["participantType"] = kind
    return {
        "id": seen["sessionId"],
        "info": info,
        "media": {"camera": OFF, "microphone": HEARD, "screenVideo": OFF, "screenAudio": OFF},
    }


def transcription(session_id: str, text: str) -> dict[str, Any]:
    """A sentence that has been said, as Daily's transcription tells it."""
    return {
        "participantId": session_id,
        "text": text,
        "timestamp": datetime.now(UTC).isoformat(),
        "trackType": "cam-audio",
        "rawResponse": {
            "is_final": True,
            "channel": {"alternatives": [{"transcript": text, "languages": ["en"]}]},
        },
    }
