# SPDX-License-Identifier: Apache-2.0
"""A bot's call."""

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any

from loguru import logger
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.runner.types import DailyRunnerArguments, RunnerArguments
from pipecat.transports.base_transport import BaseTransport
from pipecat.workers.runner import WorkerRunner

from . import tools
from .follow import Brief, Follower, Watch
from .gateway import GatewayError, post, post_patiently
from .job import Job
from .outbox import Outbox
from .transfers import Target, Transfer, TransferRefused, Transfers
from .voice import Voice

HEARTBEAT = 3.0  # seconds
CLAIM_PATIENCE = 8.0
END_PATIENCE = 5.0
CONTEXT_LIMIT = 48 << 10  # bytes; the gateway takes 64 KiB

# Daily's events, and what Trunkline calls them.
EVENTS = {
    f"on_{side}_{what}": f"{side}.{what}"
    for side, happenings in {
        "dialin": ("ready", "connected", "stopped", "error", "warning"),
        "dialout": ("connected", "answered", "stopped", "error", "warning"),
    }.items()
    for what in happenings
} | {"on_dtmf_event": "dtmf"}


class BotFailed(Exception):
    """The bot could not do its work. A process ends with it, so that another bot takes its place."""


class Call:
    """A call as its bot has it.

    Without Trunkline it does nothing: a claim is granted, nothing is reported, a transfer is refused, and the end of
    the call is the end of the pipeline.
    """

    def __init__(self, job: Job | None, session_id: str | None = None, *, placed: bool = False) -> None:
        """`placed`: the call is one that Trunkline places."""
        self.job = job
        self._session_id = session_id or uuid.uuid4().hex
        self._claims_inside = job is not None and (placed or job.resumed)
        self._transport: BaseTransport | None = None
        self._worker: PipelineWorker | None = None
        self._voice: Voice | None = None
        self._follower: Follower | None = None
        self._outbox = Outbox(job, self._unwanted) if job is not None else None
        self._transfers = Transfers(job.transfer_url, job.token, job.call_id) if job and job.transfer_url else None
        self._brief: Brief | None = None
        self._watch: Watch | None = None
        self._context: LLMContext | None = None
        self._reported = ""
        self._tasks: set[asyncio.Task[None]] = set()
        self._joined = False
        self._leaving = False
        self._over = False
        self._end_asked = False
        self._reason = "bot_finished"
        self._failure = ""
        self._finished = False
        self._unusable: dict[str, str] = {}  # errors, by what Pipecat cancels for

    @classmethod
    def from_runner_args(cls, runner_args: RunnerArguments) -> "Call":
        """The call that the bot was started for."""
        body = runner_args.body
        placed = isinstance(body, Mapping) and not body.get("dialin_settings")
        return cls(Job.of(body), runner_args.session_id, placed=placed)

    @property
    def active(self) -> bool:
        """Whether Trunkline runs the call."""
        return self.job is not None

    @property
    def resumed(self) -> bool:
        """The caller is in the room already, and another bot has been lost: go on talking."""
        return self.job is not None and self.job.resumed

    @property
    def bridge(self) -> bool:
        """Caller and operator talk: the bot holds the room, and is kept silent."""
        return self.job is not None and self.job.bridge

    @property
    def silent(self) -> bool:
        """Nobody hears the bot any more, and it is not to do anything."""
        return self.bridge or (self._voice is not None and self._voice.silent)

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What was said about a placed call by who asked for it."""
        return self.job.metadata if self.job else {}

    @property
    def messages(self) -> list[Any]:
        """The conversation so far, as the bot before this one had reported it."""
        told = self.job.context.get("messages") if self.job else None
        return list(told) if isinstance(told, list) else []

    def runner_args(self, runner_args: RunnerArguments) -> RunnerArguments:
        """What `create_transport` can take, where the room came in the body."""
        body = runner_args.body
        if not self.active or not isinstance(body, Mapping) or not body.get("room_url"):
            return runner_args
        if isinstance(runner_args, DailyRunnerArguments) and runner_args.room_url:
            return runner_args
        mine = DailyRunnerArguments(
            room_url=body["room_url"], token=body.get("token"), body=runner_args.body, session_id=runner_args.session_id
        )
        mine.handle_sigint = runner_args.handle_sigint
        mine.handle_sigterm = runner_args.handle_sigterm
        mine.pipeline_idle_timeout_secs = runner_args.pipeline_idle_timeout_secs
        mine.cli_args = runner_args.cli_args
        return mine

    async def claim(self) -> bool:
        """Whether the call is this bot's; if not, return from `bot()` at once.

        A bot whose caller is, or will be, in the room without its asking claims when it has joined, because the claim
        says that it is ready. For such a one this is True, and a refusal that comes later ends its pipeline.
        """
        if self.job is None or self._claims_inside:
            return True
        return await self._claim(self._session_id)

    def attach(
        self,
        transport: BaseTransport,
        worker: PipelineWorker,
        *,
        context: LLMContext | None = None,
        voicemail: Any = None,
    ) -> None:
        """Reports what happens on the transport and in the pipeline.

        With `context` the conversation is reported too, for a bot that has to take this one's place. `voicemail` is a
        VoicemailDetector whose verdict is reported.
        """
        self._transport, self._worker, self._context = transport, worker, context
        self._voice = Voice(transport, worker)
        if self.job is None:
            return
        for event, kind in EVENTS.items():
            transport.add_event_handler(event, self._teller(kind))
        transport.add_event_handler("on_joined", self._on_joined)
        transport.add_event_handler("on_error", self._on_error)
        transport.add_event_handler("on_before_leave", self._on_before_leave)
        transport.add_event_handler("on_call_state_updated", self._on_call_state)
        worker.add_event_handler("on_pipeline_error", self._on_pipeline_error)
        worker.add_event_handler("on_pipeline_finished", self._on_pipeline_finished)
        worker.add_event_handler("on_setup_timeout", self._on_setup_timeout)
        worker.add_event_handler("on_idle_timeout", self._on_idle_timeout)
        if voicemail is not None:
            voicemail.add_event_handler("on_voicemail_detected", self._on_voicemail)

    def event(self, kind: str, **data: Any) -> None:
        """Tells Trunkline of something, soon, in order, and without ever failing."""
        if self._outbox is not None and not self._over:
            self._outbox.put(kind, data)

    def voicemail(self) -> None:
        """A machine has answered: when the call is over, the dial counts as failed."""
        self.event("voicemail")

    async def say(self, text: str) -> None:
        """Says it, and returns when it has been heard."""
        if self._voice is not None:
            await self._voice.say(text)

    async def flush(self) -> None:
        """Returns when everything has been said that there was to say."""
        if self._voice is not None:
            await self._voice.flush()

    async def hang_up(self, reason: str = "") -> None:
        """Ends the call, for everybody, and then the pipeline."""
        self._reason = reason or self._reason
        await self._ask_end()
        if self._worker is not None:
            await self._worker.cancel(reason=self._reason)

    # Transfers

    async def targets(self) -> list[Target]:
        """To whom the call can be transferred."""
        return await self._transfers.targets() if self._transfers else []

    async def transfer(
        self,
        target: str,
        *,
        mode: str = "cold",
        summary: str = "",
        announcement: str = "",
        idempotency_key: str | None = None,
    ) -> Transfer:
        """Asks for a transfer, and returns when it is accepted. The rest is done in the background: the announcement is
        spoken, an operator is told the summary, and the LLM is told if nobody could be had."""
        if self._transfers is None:
            raise TransferRefused("unavailable", "this call cannot be transferred")
        transfer = await self._transfers.request(
            target, mode=mode, summary=summary, announcement=announcement, idempotency_key=idempotency_key
        )
        if self._follower is not None:
            self._follower.look()
        return transfer

    async def cancel_transfer(self, transfer: Transfer, detail: str = "") -> Transfer:
        """Takes a transfer back, as long as it has not come about."""
        if self._transfers is None:
            raise TransferRefused("unavailable", "this call cannot be transferred")
        return await self._transfers.cancel(transfer.n, detail)

    def on_briefing(self, brief: Brief) -> Brief:
        """Briefs operators in place of the helper, which says the summary; False gives the caller back to the bot."""
        self._brief = brief
        return brief

    def on_transfer(self, watch: Watch) -> Watch:
        """Is called with each transfer, whenever there is news of it."""
        self._watch = watch
        return watch

    def transfer_tool(
        self,
        targets: Sequence[str | Target] = (),
        *,
        name: str = "transfer_call",
        mode: str = "cold",
        announcement: str = "One moment please, I am connecting you.",
    ) -> tools.Tool:
        """The function `transfer_call(target, summary)` for an LLM. `targets` are shown to it; Trunkline decides."""
        return tools.transfer_tool(self, targets, name, mode, announcement)

    def end_call_tool(self, goodbye: str = "") -> tools.Tool:
        """The function `end_call(reason)` for an LLM. The call ends when all has been said, at last the goodbye."""
        return tools.end_call_tool(self, goodbye)

    # The run

    async def run(self, runner: WorkerRunner) -> None:
        """Runs the pipeline, and reports the end, however it comes.

        A pipeline that fails is a `BotFailed`: another bot shall take this one's place, as of one that is cancelled
        from outside. One that finishes ends the call, unless the caller has been transferred.
        """
        if self.job is None:
            await runner.run()
            return
        cancelled = False
        self._start(self._beat())
        if self._transfers is not None and self._voice is not None:
            self._follower = Follower(self._transfers, self._voice, self.hang_up)
            self._follower.brief, self._follower.watch = self._brief, self._watch
            self._follower.leave = lambda: self._stop("transferred")
            self._start(self._follower.run())
        try:
            await runner.run()
            # Pipecat's runner does not let a cancellation through.
            if (me := asyncio.current_task()) is not None and me.cancelling():
                self._failure, cancelled = self._failure or "cancelled from outside", True
            elif self._worker is not None and not (self._finished or self._end_asked or self._over):
                told = next(iter(self._unusable.values()), "the pipeline did not get ready")
                self._failure = self._failure or told
        except BaseException as e:
            self._failure = self._failure or f"{type(e).__name__}: {e}"
            raise
        finally:
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._report_end()
        if self._failure and not self._over and not cancelled:
            raise BotFailed(self._failure)

    async def _report_end(self) -> None:
        assert self._outbox is not None
        moved = self._follower is not None and self._follower.latest is not None and self._follower.latest.moves_caller
        if self._failure:
            self.event("bot.failed", error=self._failure)
        elif moved and not self._end_asked:
            self.event("bot.left")
        await self._outbox.close(END_PATIENCE)
        if not self._failure and not moved and not self._over:
            await self._ask_end()

    async def _ask_end(self) -> None:
        if self.job is None or self._end_asked or self._over:
            return
        self._end_asked = True
        try:
            await post_patiently(f"{self.job.url}/end", self.job.token, {"reason": self._reason}, END_PATIENCE)
        except GatewayError as e:
            if not e.gone:
                logger.warning("Trunkline was not told of the end: {}", e)

    async def _claim(self, session_id: str) -> bool:
        assert self.job is not None
        try:
            await post_patiently(f"{self.job.url}/claim", self.job.token, {"session_id": session_id}, CLAIM_PATIENCE)
        except GatewayError as e:
            if not e.gone:
                raise
            self._unwanted(e)
            return False
        return True

    async def _beat(self) -> None:
        """Asks whether the bot is still wanted, for as long as it lives."""
        while True:
            await asyncio.sleep(HEARTBEAT)
            await self._beat_once()
            if self._voice is not None and self.silent:
                await self._voice.stay_awake()
            self._report_context()

    async def _beat_once(self) -> None:
        assert self.job is not None
        try:
            await post(f"{self.job.url}/heartbeat", self.job.token, {})
        except GatewayError as e:
            if e.gone:
                self._unwanted(e)

    def _report_context(self) -> None:
        if self._context is None or self.silent:
            return
        messages = [m for m in self._context.get_messages() if isinstance(m, dict)]
        while messages and len(now := json.dumps(messages, default=str)) > CONTEXT_LIMIT:
            messages = messages[1:]
        if messages and now != self._reported:
            self._reported = now
            self.event("context", messages=messages)

    def _unwanted(self, why: GatewayError) -> None:
        """Another bot has the call, or it is over: nothing is reported any more, and the pipeline ends."""
        if self._over:
            return
        self._over = True
        logger.info("the bot is not wanted any more: {}", why)
        if self._worker is not None:
            self._start(self._stop(why.word or "not wanted"))

    async def _stop(self, reason: str) -> None:
        if self._worker is not None:
            await self._worker.cancel(reason=reason)

    async def _fail(self, why: str) -> None:
        self._failure = self._failure or why
        await self._stop(why)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # What happens

    def _teller(self, kind: str) -> Callable[..., Awaitable[None]]:
        async def tell(_: Any, data: Any = None) -> None:
            self.event(kind, **(data if isinstance(data, Mapping) else {"text": data}))

        return tell

    async def _on_joined(self, _: Any, data: Mapping[str, Any]) -> None:
        self._joined = True
        me = data.get("participants", {}).get("local", {}).get("id", "")
        self.event("bot.joined", sessionId=me)
        if self.bridge and self._voice is not None:
            await self._voice.fall_silent()
        if self._claims_inside:
            try:
                await self._claim(self._session_id)
            except GatewayError as e:
                await self._fail(f"claim: {e}")

    async def _on_error(self, _: Any, error: str) -> None:
        self.event("bot.error", text=str(error))
        if not self._joined:
            await self._fail(f"join: {error}")

    async def _on_before_leave(self, _: Any) -> None:
        self._leaving = True

    async def _on_call_state(self, _: Any, state: str) -> None:
        """Who is put out of the room has been replaced, or the call is over, or has lost its connection."""
        if state != "left" or self._leaving or not self._joined:
            return
        for _attempt in range(4):  # the room may be gone a moment before the call is
            await self._beat_once()
            if self._over:
                return
            await asyncio.sleep(0.5)
        await self._fail("out of the room")

    async def _on_pipeline_error(self, _: Any, frame: Any) -> None:
        self.event("bot.error", text=str(getattr(frame, "error", frame)))
        processor = getattr(frame, "processor", None)
        if getattr(frame, "fatal", False):
            self._failure = self._failure or str(frame.error)
        elif processor is not None and not processor.is_usable:
            self._unusable[f"{processor} can no longer do its job"] = str(frame.error)

    async def _on_pipeline_finished(self, _: Any, frame: Any) -> None:
        """Where the worker's policy is to cancel for want of a processor, the bot has failed."""
        self._finished = True
        if error := self._unusable.get(str(getattr(frame, "reason", ""))):
            self._failure = self._failure or error

    async def _on_setup_timeout(self, _: Any) -> None:
        self._failure = self._failure or "the pipeline did not get ready"

    async def _on_idle_timeout(self, _: Any) -> None:
        self._reason = "idle_timeout"

    async def _on_voicemail(self, *_: Any) -> None:
        self.voicemail()
