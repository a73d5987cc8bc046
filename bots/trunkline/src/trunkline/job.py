# SPDX-License-Identifier: Apache-2.0
"""The block `trunkline` of a bot's body."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Job:
    """What Trunkline tells a bot of its call."""

    url: str
    token: str = field(repr=False)
    call_id: str = ""
    attempt: int = 1
    agent: str = ""
    resumed: bool = False
    """The caller is in the room already, and another bot has been lost."""
    bridge: bool = False
    """Caller and operator talk. The bot holds the room, and says nothing."""
    to: str = ""
    """Of a call that Trunkline places: who is called."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """Of a call that Trunkline places: what was said about it by who asked for it."""
    context: Mapping[str, Any] = field(default_factory=dict)
    """What the bot before this one had last reported of the conversation."""
    transfer_url: str = ""
    """Where transfers are asked for. Empty: there are none."""

    @classmethod
    def of(cls, body: Any) -> "Job | None":
        """The job in a body; None where there is no Trunkline. Fields that are not known are left out."""
        block = body.get("trunkline") if isinstance(body, Mapping) else None
        if not isinstance(block, Mapping) or not block.get("url") or not block.get("token"):
            return None
        known = {name: block[name] for name in cls.__dataclass_fields__ if block.get(name) is not None}
        return cls(**known)
