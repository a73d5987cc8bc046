# SPDX-License-Identifier: Apache-2.0
"""Pipecat's development runner, started for real."""

import asyncio
import os
import socket
import sys
import uuid
from collections.abc import AsyncIterator

import aiohttp
import pytest
from conftest import BOTS, Sim, eventually
from test_stock import dialin


@pytest.fixture
async def start_url(
    request: pytest.FixtureRequest, http: aiohttp.ClientSession, sim: Sim, tmp_path
) -> AsyncIterator[str]:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    env = os.environ | {"DAILY_API_KEY": sim.key, "DAILY_API_URL": sim.url + "/v1"}
    with (tmp_path / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(BOTS / request.param), "--host", "127.0.0.1", "--port", str(port),
            env=env, cwd=tmp_path, stdout=log, stderr=log,
        )  # fmt: skip

        async def up() -> bool:
            assert process.returncode is None, (tmp_path / "log").read_text()
            try:
                async with http.get(f"http://127.0.0.1:{port}/status") as answer:
                    return answer.status == 200
            except aiohttp.ClientError:
                return False

        try:
            await eventually(up)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            await process.wait()


async def room_for(sim: Sim, call: dict) -> dict:
    """The body as Trunkline sends it: the room is in it."""
    name = "r-" + uuid.uuid4().hex[:8]
    sip = {"display_name": call["from"], "sip_mode": "dial-in", "num_endpoints": 1}
    made = await sim.rest("/rooms", {"name": name, "properties": {"sip": sip}})
    token = await sim.rest("/meeting-tokens", {"properties": {"room_name": name, "is_owner": True}})
    # Of the gateway only the token and the address are read here.
    block = {"url": sim.url + "/nowhere", "token": "t", "call_id": "c1", "attempt": 1}
    return dialin(sim, call) | {"room_url": made["url"], "token": token["token"], "trunkline": block}


@pytest.mark.parametrize("start_url", ["adapted.py"], indirect=True)
async def test_start_with_our_body_starts_a_bot_in_our_room(start_url: str, sim: Sim, http: aiohttp.ClientSession):
    call = await sim.call()
    body = await room_for(sim, call)
    async with http.post(
        start_url + "/start", json={"transport": "daily", "createDailyRoom": False, "body": body}
    ) as answer:
        assert (answer.status, await answer.text()) == (200, "null")
    connected = await sim.until("calls", call["id"], "connected")
    room = body["room_url"].rsplit("/", 1)[1]
    assert connected["rooms"] == [room]
    assert (await sim.heard(room, "This is a stock bot."))["heard_by"] == connected["sessions"]
    await sim.hang_up(call)


@pytest.mark.parametrize("start_url", ["adapted.py"], indirect=True)
async def test_the_same_bot_runs_without_trunkline(start_url: str, sim: Sim, http: aiohttp.ClientSession):
    call = await sim.call()
    webhook = {"From": call["from"], "To": call["to"], "callId": call["id"], "callDomain": call["call_domain"]}
    async with http.post(start_url + "/daily-dialin-webhook", json=webhook) as answer:
        assert answer.status == 200
        room = (await answer.json())["dailyRoom"].rsplit("/", 1)[1]
    assert (await sim.until("calls", call["id"], "connected"))["rooms"] == [room]
    await sim.hang_up(call)
