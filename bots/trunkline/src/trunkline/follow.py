# SPDX-License-Identifier: Apache-2.0
"""The bot's part in the transfers of its call, by whomever they were asked for."""

import asyncio
from collections.abc import Awaitable, Callable

from loguru import logger

from .gateway import GatewayError
from .transfers import State, Transfer, TransferRefused, Transfers
from .voice import Voice

Brief = Callable[[Transfer], Awaitable[bool]]
Watch = Callable[[Transfer], Awaitable[None]]

PAUSE = 2.0  # seconds between questions where the answer does not wait for news


class Follower:
    """Announces, briefs, falls silent, and tells the LLM when nothing came of it."""

    def __init__(self, transfers: Transfers, voice: Voice, end: Callable[[str], Awaitable[None]]) -> None:
        """`end` asks for the end of the call."""
        self._transfers = transfers
        self._voice = voice
        self._end = end
        self._asked = asyncio.Event()
        self._acting: asyncio.Task[None] | None = None
        self.latest: Transfer | None = None
        self.brief: Brief | None = None
        self.watch: Watch | None = None
        self.leave: Callable[[], Awaitable[None]] | None = None

    def look(self) -> None:
        """There may be news: a transfer has been asked for."""
        self._asked.set()

    async def run(self) -> None:
        """Follows until it is cancelled."""
        try:
            self.latest = await self._look_patiently(None)
            if self.latest is not None and self.latest.state not in (State.FAILED, State.CANCELLED):
                await self._meet(self.latest, None)  # another bot has got so far
            while True:
                before = self.latest
                now = await self._look_patiently(before.revision if before else 0)
                if now is None or (before is not None and now.n == before.n and now.revision <= before.revision):
                    self._asked.clear()
                    try:
                        await asyncio.wait_for(self._asked.wait(), PAUSE)
                    except TimeoutError:
                        pass
                    continue
                self.latest = now
                same = before is not None and before.n == now.n
                await self._meet(now, before.state if before is not None and same else None)
        except GatewayError as e:
            logger.warning("transfers are not followed: {}", e)
        finally:
            if self._acting is not None:
                self._acting.cancel()

    async def _look_patiently(self, after: int | None) -> Transfer | None:
        while True:
            try:
                return await self._transfers.get(after=after)
            except GatewayError as e:
                if not e.passing:
                    raise
            await asyncio.sleep(PAUSE)

    async def _meet(self, transfer: Transfer, before: State | None) -> None:
        if self.watch is not None:
            await self.watch(transfer)
        if transfer.state is before:
            return
        logger.info("transfer {} to {}: {}", transfer.n, transfer.target, transfer.state.name.lower())
        if self._acting is not None:
            self._acting.cancel()
        act = {
            State.REQUESTED: self._announce,
            State.BRIEFING: self._tell_operator,
            State.COMPLETED: self._retire,
            State.FAILED: self._go_on,
            State.CANCELLED: self._go_on,
        }.get(transfer.state)
        if before is State.BRIEFING and transfer.state is not State.COMPLETED:
            await self._voice.stop_talking()  # the caller is back, and may not hear the rest
            await self._voice.deafen(False)
        if act is None:
            return
        self._acting = asyncio.create_task(self._guard(act(transfer)), name="trunkline-transfer")

    async def _guard(self, act: Awaitable[None]) -> None:
        try:
            await act
        except TransferRefused as e:
            logger.info("the transfer has gone another way: {}", e)
        except Exception:
            logger.exception("the bot's part in a transfer failed")

    async def _announce(self, transfer: Transfer) -> None:
        # Who talks over it does not stop the transfer.
        await self._voice.say(transfer.announcement, interruptible=False)
        await self._transfers.execute(transfer.n)

    async def _tell_operator(self, transfer: Transfer) -> None:
        if self.brief is not None:
            taken = await self.brief(transfer)
        else:
            await self._voice.deafen(True)  # the LLM would take the operator for the caller
            await self._voice.say(transfer.summary)
            taken = True
        await self._transfers.finish_briefing(transfer.n, declined=not taken)

    async def _retire(self, transfer: Transfer) -> None:
        await self._voice.fall_silent()
        if transfer.bot_leaves and self.leave is not None:
            await self.leave()

    async def _go_on(self, transfer: Transfer) -> None:
        if transfer.message:
            await self._voice.say(transfer.message, interruptible=False)
            await self._end("transfer_failed")
            return
        what = "was cancelled" if transfer.state is State.CANCELLED else "failed"
        await self._voice.tell_llm(
            f"The transfer to {transfer.target} {what} ({transfer.why}). The caller is with you again and hears you. "
            "Tell them so in a sentence, and go on."
        )
