# SPDX-License-Identifier: Apache-2.0
"""A Daily simulator, a whole Trunkline, and a Trunkline of which only the bot's side is there."""

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

# The examples are imported by tests as well; in the simulator they need no keys.
os.environ["SCRIPTED"] = "1"
REPO = Path(__file__).resolve().parents[2]
BOTS = Path(__file__).parent / "bots"
EXAMPLES = REPO / "bots" / "examples"
sys.path.append(str(EXAMPLES))
PATIENCE = 60  # seconds, on a machine that is busy

Json = dict[str, Any]


def built(name: str, package: str) -> Path:
    """The binary, as the tree is now."""
    binary = REPO / ".bin" / name
    subprocess.run(["go", "build", "-o", str(binary), package], cwd=REPO, check=True)
    return binary


@pytest.fixture(scope="session")
def trunkline_binary() -> Path:
    return built("trunkline", "./services/trunkline")


@pytest.fixture(scope="session")
def sim_binary() -> Path:
    return built("daily-sim", "./services/daily-sim")


class Sim:
    """What can be asked of a simulator."""

    def __init__(self, url: str, session: aiohttp.ClientSession, key: str = "") -> None:
        self.url = url
        self.key = key
        self._session = session

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        async with self._session.request(method, self.url + path, json=body, headers=headers) as answer:
            text = await answer.text()
            assert answer.status == 200, f"{method} {path}: {answer.status} {text}"
            return json.loads(text) if text else None

    async def text(self, url: str) -> str:
        async with self._session.get(url) as answer:
            return await answer.text()

    async def rest(self, path: str, body: Json) -> Json:
        """Daily's own API."""
        return await self.ask("POST", "/v1" + path, body, Authorization=f"Bearer {self.key}")

    async def call(self, **spec: Any) -> Json:
        """A phone calls."""
        return await self.ask("POST", "/sim/calls", {"from": "+14155550123", "to": "+14155550100"} | spec)

    async def until(self, kind: str, id: str, state: str) -> Json:
        return await self.ask("GET", f"/sim/{kind}/{id}?wait={state}&timeout={PATIENCE}s")

    async def hang_up(self, call: Json) -> None:
        await self.ask("POST", f"/sim/calls/{call['id']}/hangup")

    async def say(self, room: str, by: str, text: str) -> None:
        await self.ask("POST", f"/sim/rooms/{room}/say", {"by": by, "text": text})

    async def heard(self, room: str, text: str) -> Json:
        """Waits until somebody has said it in the room, and tells who has heard it."""

        async def find() -> Json | None:
            said = await self.ask("GET", f"/sim/rooms/{room}/heard")
            return next((s for s in said["data"] or [] if text in s["text"]), None)

        return await eventually(find)

    async def hears(self, room: str) -> dict[str, set[str]]:
        """Who is in a room, and whom each hears now; sessions of phones and of bots."""
        present = (await self.ask("GET", f"/sim/rooms/{room}/hears"))["data"] or []
        return {who["session_id"]: set(who["hears"] or []) for who in present}


async def eventually(find: Callable[[], Any], patience: float = PATIENCE) -> Any:
    """What `find` finds, asked again and again: for what tells nobody that it has happened."""
    async with asyncio.timeout(patience):
        while not (found := await find()):  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.05)
        return found


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture(scope="session")
def sim_url(sim_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A simulator by itself, with the key that it has when nobody gives it another."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{s.getsockname()[1]}"
    config = tmp_path_factory.mktemp("sim") / "sim.yaml"
    number = {"number": "+14155550100", "webhook_url": f"http://{address}/nowhere"}
    config.write_text(json.dumps({"public_url": f"http://{address}", "numbers": [number]}))
    env = {"DAILY_SIM_LISTEN": address, "DAILY_SIM_CONFIG": str(config)}
    process = subprocess.Popen([sim_binary], env=env, stderr=subprocess.DEVNULL)
    try:
        while subprocess.run([sim_binary, "health"], env=env, capture_output=True).returncode:
            assert process.poll() is None, "the simulator has ended"
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
async def sim(sim_url: str, http: aiohttp.ClientSession) -> Sim:
    return Sim(sim_url, http, key="sim-daily-api-key")


class Trunkline:
    """A running `trunkline dev`, which tests share: each looks at its own calls alone."""

    def __init__(self, binary: Path, log: Path, pid: int, urls: dict[str, str]) -> None:
        self.binary, self.log, self.pid, self.urls = binary, log, pid, urls
        self.sim: Sim

    async def events(self, call_id: str) -> dict[str, Json]:
        """A call's events, by their names."""
        shown = json.loads(await self.run("calls", "show", call_id, "-o", "json"))
        return {e["name"]: e for e in shown["events"]}

    async def event(self, call_id: str, name: str) -> Json:
        """Waits for an event of a call."""

        async def find() -> Json | None:
            return (await self.events(call_id)).get(name)

        return await eventually(find)

    async def ended(self, call_id: str) -> Json:
        """Waits until a call is over, and tells how."""
        return (await self.event(call_id, "CallEnded"))["data"]

    async def answered(self, to: str) -> tuple[Json, str]:
        """Calls a number, and waits until a bot is there; the call, and its id at Trunkline."""
        call = await self.sim.call(to=to)
        call = await self.sim.until("calls", call["id"], "connected")
        return call, call_id(call["rooms"][0])

    async def place(self, to: str, agent: str, metadata: Json) -> Json:
        """Has somebody called, and waits until he answers."""
        before = await self.dials(to)
        await self.run("call", to, "--agent", agent, "--metadata-json", json.dumps(metadata))

        async def new() -> Json | None:
            return next((d for d in await self.dials(to) if d["id"] not in [b["id"] for b in before]), None)

        dial = await eventually(new)
        return await self.sim.until("dials", dial["id"], "answered")

    async def dials(self, to: str) -> list[Json]:
        dials = (await self.sim.ask("GET", "/sim/dials"))["data"] or []
        return [d for d in dials if d["to"] == to]

    async def phone(self, number: str, **does: str) -> None:
        """Says what a phone does when it is called."""
        await self.sim.ask("PUT", f"/sim/callees/{number}", {"dials": [does]})

    async def warm(self, agent: str) -> None:
        """Waits until a bot of the agent's waits for its job."""
        metrics = self.urls["health"].rstrip(",").removesuffix("/readyz") + "/metrics"

        async def waits() -> bool:
            return f'trunkline_bots_warm{{agent="{agent}"}} 1' in await self.sim.text(metrics)

        await eventually(waits)

    def bots(self, file: str) -> set[int]:
        """The processes that run a bot; they are this Trunkline's grandchildren."""
        all_of = [pid for keeper in _children(self.pid) for pid in _children(keeper)]
        return {pid for pid in all_of if file.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()}

    async def run(self, *command: str) -> str:
        access = ("--key", self.urls["key"], "--control", self.urls["calls"])
        process = await asyncio.create_subprocess_exec(
            self.binary, *command, *access, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        out, err = await process.communicate()
        assert process.returncode == 0, f"{command}: {err.decode()}"
        return out.decode()


def call_id(room: str) -> str:
    """The call that a room of Trunkline's was made for."""
    return room.split("-")[1]


def _children(pid: int) -> list[int]:
    return [int(c) for c in subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout.split()]


def agent(*command: str, folder: Path = BOTS, **more: Any) -> Json:
    """An agent of trunkline.yaml whose bot is run with this Python."""
    return {
        "command": [sys.executable, "-m", "trunkline.run", *command],
        "dir": str(folder),
        "env": {"SCRIPTED": "1"},
        "owner": True,
        "ready_timeout": "60s",
    } | more


@contextmanager
def running(binary: Path, folder: Path, config: Json) -> Iterator[Trunkline]:
    """A whole Trunkline."""
    (folder / "trunkline.yaml").write_text(json.dumps(config))  # JSON is YAML
    log = folder / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [binary, "dev", "--free-ports", "-c", "trunkline.yaml", "--dir", "data"],
            cwd=folder, stdout=subprocess.PIPE, stderr=out, text=True,
        )  # fmt: skip
        try:
            assert process.stdout is not None
            greeting = ""
            while "Ctrl-C" not in greeting:
                line = process.stdout.readline()
                assert line, log.read_text()
                greeting += line
            urls = dict(re.findall(r"^  (\w+) +(\S+)", greeting, re.M))
            urls["key"] = re.search(r"API key +(\S+)", greeting)[1]
            yield Trunkline(binary, log, process.pid, urls)
        finally:
            process.terminate()
            process.wait()


class DevRunner:
    """Pipecat's development runner, with a bot."""

    def __init__(self, file: str, folder: Path, **env: str) -> None:
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self._log = folder / f"{file}.log"
        self._process = subprocess.Popen(
            [sys.executable, str(BOTS / file), "--host", "127.0.0.1", "--port", str(port)],
            env=os.environ | env, cwd=folder, stdout=self._log.open("wb"), stderr=subprocess.STDOUT,
        )  # fmt: skip

    async def up(self, http: aiohttp.ClientSession) -> None:
        """Waits until it can be asked."""

        async def answers() -> bool:
            assert self._process.poll() is None, self._log.read_text()
            try:
                async with http.get(f"{self.url}/status") as answer:
                    return answer.status == 200
            except aiohttp.ClientError:
                return False

        await eventually(answers)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()


class Gateway:
    """The gateway and TransferService as their contracts have them: what a helper says is kept, what it hears is set.

    It is there for what the real ones cannot be brought to do on purpose.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[str, Json]] = []
        self.refuse: dict[str, tuple[int, str]] = {}
        self.transfer: Json | None = None
        self.news = asyncio.Condition()
        self.url = ""
        self.token = "a bot's token"

    def job(self, **more: Any) -> Json:
        """The block for a body."""
        return {
            "url": self.url + "/v1", "token": self.token, "call_id": "c1", "attempt": 1, "agent": "a",
            "resumed": False, "transfer_url": self.url,
        } | more  # fmt: skip

    def events(self) -> list[str]:
        return [body["type"] for path, body in self.asked if path == "event"]

    async def told(self, path: str, **fields: Any) -> Json:
        """Waits until the helper has asked this, with these fields."""

        def find() -> Json | None:
            for where, body in self.asked:
                if where == path and fields.items() <= body.items():
                    return body
            return None

        async with asyncio.timeout(PATIENCE), self.news:
            await self.news.wait_for(find)
            return find() or {}

    async def move(self, state: str, **more: Any) -> None:
        """The transfer has got to another state."""
        async with self.news:
            now = self.transfer or {"n": 1, "revision": "0"}
            self.transfer = now | {"state": f"STATE_{state}", "revision": str(int(now["revision"]) + 1)} | more
            self.news.notify_all()

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.json()
        path = request.path.rsplit("/", 1)[1]
        assert request.headers["Authorization"] == f"Bearer {self.token}"
        async with self.news:
            self.asked.append((path, body))
            self.news.notify_all()
            if path in self.refuse:
                status, word = self.refuse[path]
                # The gateway says error and info, Connect says code and message.
                told = {"error": word, "info": word, "code": word, "message": word}
                return web.json_response(told, status=status)
            if path == "ListTargets":
                return web.json_response({"targets": [{"name": "support", "modes": ["cold"], "open": True}]})
            if path == "RequestTransfer":
                asked = {k: body[k] for k in ("target", "mode", "summary", "announcement") if body.get(k)}
                self.transfer = asked | {"n": 1, "state": "STATE_REQUESTED", "revision": "1"}
                self.news.notify_all()
            if path == "GetTransfer":
                after = int(body.get("afterRevision", 0))
                if self.transfer is None:
                    return web.json_response({"code": "not_found", "message": "no transfer"}, status=404)
                if "wait" in body:
                    await self.news.wait_for(lambda: int(self.transfer["revision"]) > after)
        return web.json_response({"ok": True, "transfer": self.transfer})


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    it = Gateway()
    app = web.Application()
    app.router.add_post("/{path:.*}", it.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    it.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield it
    await runner.cleanup()


@pytest.fixture(autouse=True)
def _no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a developer has set for Daily's own service does not count here."""
    for name in [n for n in os.environ if n.startswith("DAILY_")]:
        monkeypatch.delenv(name)
