# SPDX-License-Identifier: Apache-2.0
"""What Pipecat's published bots do on the transport, in rooms of the simulator, with nothing of Trunkline between."""

import asyncio
import json
import os
import sys
import uuid
from contextlib import asynccontextmanager

import pytest
from conftest import BOTS, Sim

CALLER = "+14155550123"
CALLED = "+14155550177"
OPERATOR = "+14155550111"


@pytest.fixture
async def room(sim: Sim) -> dict:
    name = "r-" + uuid.uuid4().hex[:8]
    sip = {"display_name": CALLER, "sip_mode": "dial-in", "num_endpoints": 1}
    made = await sim.rest("/rooms", {"name": name, "properties": {"sip": sip, "enable_dialout": True}})
    token = await sim.rest("/meeting-tokens", {"properties": {"room_name": name, "is_owner": True}})
    return {"room_url": made["url"], "token": token["token"], "session_id": "s"}


@asynccontextmanager
async def running(bot: str, job: dict, **env: str):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "trunkline.run", str(BOTS / bot),
        stdin=asyncio.subprocess.PIPE, env=os.environ | env,
    )  # fmt: skip
    try:
        process.stdin.write(json.dumps(job).encode())
        process.stdin.close()
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def dialin(sim: Sim, call: dict) -> dict:
    """The body of a dial-in as Pipecat's runner makes it."""
    settings = {"call_id": call["id"], "call_domain": call["call_domain"], "From": CALLER, "To": call["to"]}
    return {"dialin_settings": settings, "daily_api_key": sim.key, "daily_api_url": sim.url + "/v1"}


async def dials(sim: Sim, job: dict) -> list[dict]:
    room = job["room_url"].rsplit("/", 1)[1]
    return (await sim.ask("GET", f"/sim/dials?room={room}"))["data"]


async def test_the_dialin_bot_has_its_caller_forwarded_and_ends_with_him(sim: Sim, room: dict):
    call = await sim.call()
    async with running("stock_dialin.py", room | {"body": dialin(sim, call)}) as bot:
        connected = await sim.until("calls", call["id"], "connected")
        assert connected["forwards"] == 1
        await sim.hang_up(call)
        assert await bot.wait() == 0


async def test_the_dialout_bot_dials_again_after_errors(sim: Sim, room: dict):
    fails = {"does": "busy", "ends": "error"}
    await sim.ask("PUT", f"/sim/callees/{CALLED}", {"dials": [fails, fails, {"does": "answer"}]})
    async with running("stock_dialout.py", room | {"body": {"dialout_settings": {"phone_number": CALLED}}}) as bot:
        await sim.heard(room["room_url"].rsplit("/", 1)[1], "Hello from the bot that calls.")
        made = await dials(sim, room)
        assert [d["state"] for d in made] == ["ended", "ended", "answered"]
        await sim.ask("POST", f"/sim/dials/{made[-1]['id']}/hangup")
        assert await bot.wait() == 0


async def test_the_transfer_bot_speaks_and_sends_its_caller_away(sim: Sim, room: dict):
    call = await sim.call()
    async with running("stock_transfer.py", room | {"body": dialin(sim, call)}, OPERATOR_NUMBER=OPERATOR) as bot:
        await sim.until("calls", call["id"], "transferred")
        name = room["room_url"].rsplit("/", 1)[1]
        said = await sim.heard(name, "I will connect you.")
        assert said["heard_by"], "the announcement came too late"
        assert await bot.wait() == 0
    (transfer,) = (await sim.ask("GET", f"/sim/transfers?room={name}"))["data"]
    assert (transfer["to"], transfer["by"]) == (OPERATOR, "bot")
