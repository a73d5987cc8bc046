# SPDX-License-Identifier: Apache-2.0
"""The transfers of a call, over Connect's JSON."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from .gateway import GatewayError, post, post_patiently

PATIENCE = 5.0  # seconds, for what may help when it is asked again
WAIT = 25  # seconds


class State(StrEnum):
    """Where a transfer is."""

    REQUESTED = "STATE_REQUESTED"
    """Accepted. It is executed when the announcement has been spoken."""
    RINGING = "STATE_RINGING"
    BRIEFING = "STATE_BRIEFING"
    """The operator is there and hears the bot; the caller is on hold and does not."""
    COMPLETED = "STATE_COMPLETED"
    """Caller and operator talk."""
    FAILED = "STATE_FAILED"
    CANCELLED = "STATE_CANCELLED"
    UNKNOWN = ""

    @classmethod
    def _missing_(cls, value: object) -> "State":
        return cls.UNKNOWN


class TransferRefused(Exception):
    """A transfer cannot be had. `code` is Connect's word for why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Target:
    """Somebody to whom calls can be transferred."""

    name: str
    modes: tuple[str, ...] = ()
    open: bool = False
    opens_at: str = ""
    description: str = ""

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> "Target":
        return cls(
            name=told.get("name", ""),
            modes=tuple(told.get("modes", ())),
            open=told.get("open", False),
            opens_at=told.get("opensAt", ""),
            description=told.get("description", ""),
        )


@dataclass(frozen=True)
class Leg:
    """One number that was called for a transfer."""

    k: int
    to: str
    state: str
    cause: str

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> "Leg":
        return cls(
            k=int(told.get("k", 0)), to=told.get("to", ""), state=told.get("state", ""), cause=told.get("cause", "")
        )


@dataclass(frozen=True)
class Transfer:
    """A transfer as it stood at one moment."""

    n: int
    target: str = ""
    mode: str = ""
    state: State = State.UNKNOWN
    summary: str = ""
    announcement: str = ""
    reason: str = ""
    detail: str = ""
    message: str = ""
    """What the caller is to be told before the call is ended, because nobody could be had."""
    bot_leaves: bool = False
    legs: tuple[Leg, ...] = field(default=())
    revision: int = 0
    requested_by: str = ""

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> "Transfer":
        return cls(
            n=int(told.get("n", 0)),
            target=told.get("target", ""),
            mode=told.get("mode", ""),
            state=State(told.get("state", "")),
            summary=told.get("summary", ""),
            announcement=told.get("announcement", ""),
            reason=told.get("reason", ""),
            detail=told.get("detail", ""),
            message=told.get("message", ""),
            bot_leaves=told.get("botLeaves", False),
            legs=tuple(Leg.of(leg) for leg in told.get("legs", ())),
            revision=int(told.get("revision", 0)),
            requested_by=told.get("requestedBy", ""),
        )

    @property
    def moves_caller(self) -> bool:
        """The caller leaves the room by it, or has left: that he is gone is not his hanging up."""
        if self.state is State.COMPLETED:
            return True
        return self.mode in ("blind", "refer") and self.state in (State.REQUESTED, State.RINGING)

    @property
    def why(self) -> str:
        """In words: for whom it is told."""
        return ": ".join(part for part in (self.reason.replace("_", " "), self.detail) if part) or "nobody could be had"


class Transfers:
    """TransferService, for one call."""

    def __init__(self, url: str, token: str, call_id: str) -> None:
        self._base = url.rstrip("/") + "/trunkline.transfer.v1.TransferService/"
        self._token = token
        self._call_id = call_id

    async def request(
        self, target: str, *, mode: str, summary: str, announcement: str, idempotency_key: str | None
    ) -> Transfer:
        """Asks for a transfer. The same key again gets the same transfer."""
        return await self._transfer(
            "RequestTransfer",
            target=target,
            mode=mode,
            summary=summary,
            announcement=announcement,
            idempotencyKey=idempotency_key or uuid.uuid4().hex,
        )

    async def execute(self, n: int) -> Transfer:
        """The announcement has been spoken."""
        return await self._transfer("ExecuteTransfer", n=n)

    async def finish_briefing(self, n: int, *, declined: bool, detail: str = "") -> Transfer:
        """The operator knows: caller and operator are joined, or the caller is given back."""
        return await self._transfer("FinishBriefing", n=n, declined=declined, detail=detail)

    async def cancel(self, n: int, detail: str = "") -> Transfer:
        return await self._transfer("CancelTransfer", n=n, detail=detail)

    async def get(self, *, after: int | None = None) -> Transfer | None:
        """The latest transfer; with `after`, when there is news of it, or as it stands after a while."""
        ask: dict[str, Any] = {"call": self._call_id}
        if after is not None:
            ask |= {"afterRevision": str(after), "wait": f"{WAIT}s"}
        try:
            told = await post(self._base + "GetTransfer", self._token, ask, WAIT + 10)
        except GatewayError as e:
            if e.word == "not_found":
                return None
            raise
        return Transfer.of(told["transfer"]) if told.get("transfer") else None

    async def targets(self) -> list[Target]:
        told = await self._ask("ListTargets")
        return [Target.of(target) for target in told.get("targets", ())]

    async def _transfer(self, method: str, **ask: Any) -> Transfer:
        return Transfer.of((await self._ask(method, **ask)).get("transfer", {}))

    async def _ask(self, method: str, **ask: Any) -> dict[str, Any]:
        try:
            return await post_patiently(self._base + method, self._token, {"call": self._call_id} | ask, PATIENCE)
        except GatewayError as e:
            raise TransferRefused(e.word or "unavailable", e.info) from e
