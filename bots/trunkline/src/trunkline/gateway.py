# SPDX-License-Identifier: Apache-2.0
"""The bot gateway, over HTTP."""

import asyncio
import json
from typing import Any

import aiohttp

GONE = {401, 404, 409, 410}  # the bot's part in the call is over, whatever it does
LATER = {429, 500, 502, 503, 504}


class GatewayError(Exception):
    """Trunkline refuses, or cannot be reached: then the status is 0."""

    def __init__(self, status: int, word: str, info: str) -> None:
        super().__init__(f"{word}: {info}" if word else info)
        self.status = status
        self.word = word
        self.info = info

    @property
    def gone(self) -> bool:
        """Another bot has taken this one's place, or the call is over."""
        return self.status in GONE

    @property
    def passing(self) -> bool:
        """The same request may succeed later."""
        return self.status == 0 or self.status in LATER


async def post(url: str, token: str, body: dict[str, Any], timeout: float = 10) -> dict[str, Any]:
    """Asks once, and gives the answer; anything but 200 is a `GatewayError`."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    data = json.dumps(body, default=str)
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=timeout)) as session,
            session.post(url, data=data, headers=headers) as answer,
        ):
            status, raw = answer.status, await answer.text()
    except (aiohttp.ClientError, TimeoutError, OSError) as e:
        raise GatewayError(0, "", f"{url}: {e or type(e).__name__}") from e
    try:
        told = json.loads(raw)
    except ValueError:
        told = {}
    if not isinstance(told, dict):
        told = {}
    if status != 200:
        # The gateway's own words, or those of Connect.
        word, info = told.get("error") or told.get("code") or "", told.get("info") or told.get("message") or raw
        raise GatewayError(status, str(word), str(info)[:500] or f"status {status}")
    return told


async def post_patiently(
    url: str, token: str, body: dict[str, Any], patience: float, timeout: float = 10
) -> dict[str, Any]:
    """Asks again and again, for `patience` seconds, for as long as that may help."""
    loop = asyncio.get_running_loop()
    until, pause = loop.time() + patience, 0.1
    while True:
        try:
            return await post(url, token, body, timeout)
        except GatewayError as e:
            if not e.passing or loop.time() + pause > until:
                raise
        await asyncio.sleep(pause)
        pause = min(2 * pause, 2.0)
