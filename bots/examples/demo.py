# SPDX-License-Identifier: Apache-2.0
"""`python demo.py TRUNKLINE` has the examples talk with simulated people, and shows what is said.

It fails if somebody is not answered.
"""

import asyncio
import json
import re
import sys
import tempfile
from collections.abc import Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

HERE = Path(__file__).parent
PATIENCE = 60  # seconds


class Stage:
    """A running `trunkline dev`, and the people who call and are called."""

    def __init__(self, trunkline: str, greeting: str, http: aiohttp.ClientSession) -> None:
        urls = dict(re.findall(r"^  (\w+) +(\S+)", greeting, re.M))
        self._trunkline, self._http = trunkline, http
        self._sim = urls["simulator"].removesuffix("/calls")
        self._access = ("--control", urls["calls"], "--key", re.search(r"API key +(\S+)", greeting)[1])

    async def sim(self, path: str, body: Any = None) -> Any:
        async with self._http.request("POST" if body is not None else "GET", self._sim + path, json=body) as answer:
            answer.raise_for_status()
            text = await answer.text()
            return json.loads(text) if text else None

    async def trunkline(self, *command: str) -> None:
        process = await asyncio.create_subprocess_exec(
            self._trunkline, *command, *self._access, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
        )
        _, err = await process.communicate()
        if process.returncode:
            raise SystemExit(err.decode())

    async def until(self, find: Callable[[Any], Any], path: str) -> Any:
        async with asyncio.timeout(PATIENCE):
            while not (found := find((await self.sim(path))["data"] or [])):  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.05)
            return found

    async def hear(self, room: str, text: str) -> None:
        await self.until(lambda said: any(text in s["text"] for s in said), f"/rooms/{room}/heard")

    async def say(self, room: str, who: str, text: str) -> None:
        await self.sim(f"/rooms/{room}/say", {"by": who, "text": text})

    async def show(self, title: str, room: str, **people: str) -> None:
        """Prints what was said in a room, and what somebody was not to hear; who is not named is the bot."""
        print(f"\n{title}\n")
        names = {session: name for name, session in people.items()}
        for said in (await self.sim(f"/rooms/{room}/heard"))["data"]:
            heard = [names[s] for s in said["heard_by"] or [] if s in names]
            only = f"   [to the {heard[0]} alone]" if len(people) > 1 and len(heard) == 1 else ""
            print(f"  {names.get(said['by'], 'bot'):>10}: {said['text']}{only}")


@asynccontextmanager
async def running(trunkline: str):
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            trunkline, "dev", "--free-ports", "-c", "trunkline.yaml", "--dir", folder,
            cwd=HERE, stdout=asyncio.subprocess.PIPE, stderr=log,
        )  # fmt: skip
        try:
            greeting = (await process.stdout.readuntil(b"Ctrl-C")).decode()
            async with aiohttp.ClientSession() as http:
                yield Stage(trunkline, greeting, http)
        finally:
            process.terminate()
            await process.wait()


async def somebody_calls(stage: Stage) -> None:
    call = await stage.sim("/calls", {"from": "+14155550123", "to": "+14155550100"})
    call = await stage.sim(f"/calls/{call['id']}?wait=connected&timeout={PATIENCE}s")
    room = call["rooms"][0]
    await stage.hear(room, "How can I help you?")
    await stage.say(room, call["id"], "When are you open?")
    await stage.hear(room, "from nine to five")
    await stage.say(room, call["id"], "Thank you, goodbye.")
    await stage.sim(f"/calls/{call['id']}?wait=ended&timeout={PATIENCE}s")
    await stage.show("Somebody calls the receptionist", room, person=call["sessions"][0])


async def somebody_complains(stage: Stage) -> None:
    call = await stage.sim("/calls", {"from": "+14155550124", "to": "+14155550100"})
    call = await stage.sim(f"/calls/{call['id']}?wait=connected&timeout={PATIENCE}s")
    room, person = call["rooms"][0], call["sessions"][0]
    await stage.hear(room, "How can I help you?")
    await stage.say(room, call["id"], "I have a complaint.")
    supervisor = (await stage.until(lambda dials: next((d for d in dials if d["room"] == room), None), "/dials"))["id"]
    await stage.hear(room, "The caller wants to complain.")
    await stage.until(
        lambda present: (
            {person: [supervisor], supervisor: [person]}.items()
            <= {who["session_id"]: who["hears"] for who in present}.items()
        ),
        f"/rooms/{room}/hears",
    )
    await stage.say(room, supervisor, "Hello, I have heard of it. I am sorry!")
    await stage.say(room, call["id"], "Thank you for taking my call.")
    await stage.sim(f"/calls/{call['id']}?wait=ended&timeout={PATIENCE}s")  # the supervisor hangs up
    await stage.show(
        "Somebody complains, and is handed over to the supervisor, who is told first what it is about",
        room, person=person, supervisor=supervisor,
    )  # fmt: skip


async def somebody_is_called(stage: Stage, title: str, number: str, answer: str) -> None:
    await stage.trunkline(
        "call", number, "--agent", "reminder", "--metadata", "name=Ann", "--metadata", "appointment=on Monday at nine"
    )
    dial = await stage.until(lambda dials: next((d for d in dials if d["to"] == number), None), "/dials")
    await stage.hear(dial["room"], "on Monday at nine")
    if answer:
        await stage.say(dial["room"], dial["id"], answer)
    await stage.sim(f"/dials/{dial['id']}?wait=ended&timeout={PATIENCE}s")
    await stage.show(title, dial["room"], person=dial["id"])


async def main() -> None:
    async with running(sys.argv[1]) as stage:
        await somebody_calls(stage)
        await somebody_complains(stage)
        await somebody_is_called(stage, "Somebody is reminded", "+14155550123", "Thank you!")
        await somebody_is_called(stage, "A voicemail is reminded", "+14155550198", "")


asyncio.run(main())
