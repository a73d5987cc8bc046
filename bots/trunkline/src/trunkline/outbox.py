# SPDX-License-Identifier: Apache-2.0
"""What is told to Trunkline, in order, in the background."""

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

from loguru import logger

from .gateway import GatewayError, post_patiently
from .job import Job

PATIENCE = 30.0  # seconds, for one event


class Outbox:
    """Tells events one after the other. What cannot be told is logged and left out: a bot does not fail of it."""

    def __init__(self, job: Job, gone: Callable[[GatewayError], None]) -> None:
        """`gone` is called when Trunkline says that the bot is no longer wanted; nothing is told from then on."""
        self._job = job
        self._gone = gone
        self._seq = itertools.count(1)
        self._waiting: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    def put(self, kind: str, data: dict[str, Any]) -> None:
        """Tells it soon."""
        self._waiting.put_nowait({"seq": next(self._seq), "type": kind, "data": data})
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="trunkline-outbox")

    async def close(self, patience: float) -> None:
        """Tells what is still waiting, for no longer than that."""
        if self._task is None:
            return
        try:
            await asyncio.wait_for(self._waiting.join(), patience)
        except TimeoutError:
            logger.warning("Trunkline could not be told everything: {} events are left out", self._waiting.qsize())
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        gone = False
        while True:
            event = await self._waiting.get()
            try:
                if not gone:
                    await post_patiently(f"{self._job.url}/event", self._job.token, event, PATIENCE)
            except GatewayError as e:
                if gone := e.gone:
                    self._gone(e)
                else:
                    logger.warning("Trunkline was not told of {}: {}", event["type"], e)
            finally:
                self._waiting.task_done()
