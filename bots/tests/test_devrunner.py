# SPDX-License-Identifier: Apache-2.0
"""Pipecat's development runner, started for real."""

import uuid
from collections.abc import Iterator

import aiohttp
import pytest
from conftest import DevRunner, Sim
from test_stock import dialin


@pytest.fixture
async def start_url(dev_runner: DevRunner, http: aiohttp.ClientSession) -> str:
    await dev_runner.up(http)
    return dev_runner.url


@pytest.fixture(scope="module")
def dev_runner(sim_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevRunner]:
    folder = tmp_path_factory.mktemp("devrunner")
    it = DevRunner("adapted.py", folder, DAILY_API_KEY="sim-daily-api-key", DAILY_API_URL=sim_url + "/v1")
    yield it
    it.stop()


async def room_for(sim: Sim, call: dict) -> dict:
    """The body as Trunkline sends it: the room is in it."""
    name = "r-" + uuid.uuid4().hex[:8]
    sip = {"display_name": call["from"], "sip_mode": "dial-in", "num_endpoints": 1}
    made = await sim.rest("/rooms", {"name": name, "properties": {"sip": sip}})
    token = await sim.rest("/meeting-tokens", {"properties": {"room_name": name, "is_owner": True}})
    # Of the gateway only the token and the address are read here.
    block = {"url": sim.url + "/nowhere", "token": "t", "call_id": "c1", "attempt": 1}
    return dialin(sim, call) | {"room_url": made["url"], "token": token["token"], "trunkline": block}


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


async def test_the_same_bot_runs_without_trunkline(start_url: str, sim: Sim, http: aiohttp.ClientSession):
    call = await sim.call()
    webhook = {"From": call["from"], "To": call["to"], "callId": call["id"], "callDomain": call["call_domain"]}
    async with http.post(start_url + "/daily-dialin-webhook", json=webhook) as answer:
        assert answer.status == 200
        room = (await answer.json())["dailyRoom"].rsplit("/", 1)[1]
    assert (await sim.until("calls", call["id"], "connected"))["rooms"] == [room]
    await sim.hang_up(call)
