# SPDX-License-Identifier: Apache-2.0
"""Pipecat's own helper for Daily's REST API, against the simulator."""

import aiohttp
import pytest
from conftest import Sim
from pipecat.runner.daily import configure
from pipecat.transports.daily.utils import DailyRESTHelper, DailyRoomParams


@pytest.fixture
async def helper(sim: Sim, http: aiohttp.ClientSession) -> DailyRESTHelper:
    return DailyRESTHelper(daily_api_key=sim.key, daily_api_url=sim.url + "/v1", aiohttp_session=http)


@pytest.mark.parametrize(
    ("asked", "sip", "dialout"),
    [
        ({}, False, False),
        ({"sip_caller_phone": "+14155550123"}, True, False),
        ({"enable_dialout": True}, False, True),
        ({"sip_caller_phone": "+14155550123", "enable_dialout": True}, True, True),
    ],
    ids=["plain", "dial-in", "dial-out", "transfer"],
)
async def test_configure_makes_rooms_and_tokens(
    asked: dict, sip: bool, dialout: bool, sim: Sim, helper: DailyRESTHelper, http, monkeypatch
):
    monkeypatch.setenv("DAILY_API_KEY", sim.key)
    monkeypatch.setenv("DAILY_API_URL", sim.url + "/v1")
    made = await configure(http, **asked)
    room = await helper.get_room_from_url(made.room_url)
    assert bool(room.config.enable_dialout) == dialout
    if sip:
        # Pipecat puts the prefix in front of what it is given.
        assert made.sip_endpoint.startswith("sip:")
        assert not made.sip_endpoint.startswith("sip:sip:")
    joined = await sim.ask("GET", f"/v1/meeting-tokens/{made.token}", Authorization=f"Bearer {sim.key}")
    assert joined["room_name"] == room.name
    assert joined["is_owner"]


async def test_a_room_that_is_deleted_is_gone(helper: DailyRESTHelper):
    room = await helper.create_room(DailyRoomParams())
    assert await helper.get_token(room.url, owner=True)
    assert await helper.delete_room_by_name(room.name)
    with pytest.raises(Exception, match="not found"):
        await helper.get_room_from_url(room.url)
