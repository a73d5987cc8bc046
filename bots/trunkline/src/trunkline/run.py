# SPDX-License-Identifier: Apache-2.0
"""`python -m trunkline.run [--warm] bot.py` calls the file's `bot()` with the job on standard input.

With `--warm`, or with TRUNKLINE_WARM=1 in the environment, the file is imported first and the line `{"ready":true}` is
written; the job may come much later. One job is served, and then the process ends: 0 when `bot()` returned, 1 when it
raised, 2 when there is nothing to run, 143 when SIGTERM has ended it.
"""

import argparse
import asyncio
import importlib
import importlib.util
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from pipecat.runner.types import DailyRunnerArguments

Bot = Callable[[DailyRunnerArguments], Awaitable[None]]

# What `create_transport` imports when it is called: a warm bot has it before.
SOON_WANTED = ("pipecat.runner.utils", "pipecat.transports.daily.transport")


class CannotRun(Exception):
    """There is no bot, or no job."""


def load(path: str) -> Bot:
    """Imports the file as Pipecat's own runner would, and gives its `bot()`."""
    file = Path(path).resolve()
    if not file.is_file():
        raise CannotRun(f"{path}: there is no such file")
    sys.path.insert(0, str(file.parent))
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None:
        raise CannotRun(f"{path}: is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    bot: Bot | None = getattr(module, "bot", None)
    if bot is None:
        raise CannotRun(f"{path}: has no function bot()")
    return bot


def read_job(text: str) -> DailyRunnerArguments:
    """The runner arguments that a job stands for."""
    try:
        job: dict[str, Any] = json.loads(text)
        args = DailyRunnerArguments(
            room_url=job["room_url"], token=job.get("token"), session_id=job.get("session_id"), body=job.get("body", {})
        )
    except (ValueError, KeyError, TypeError, AttributeError) as e:
        raise CannotRun(f"the job on standard input is not one JSON document with a room_url: {e!r}") from e
    args.handle_sigint = True
    return args  # SIGTERM is seen to below, for bots that do not know of it as well


async def serve(bot: Bot, args: DailyRunnerArguments) -> int:
    """Runs the bot, and gives the exit status; SIGTERM cancels it, so that it leaves the room."""
    task = asyncio.ensure_future(bot(args))
    stopped = False

    def stop() -> None:
        nonlocal stopped
        stopped = True
        task.cancel()

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop)
    try:
        await task
    except asyncio.CancelledError:
        if not stopped:
            raise
    return 128 + signal.SIGTERM if stopped else 0


def announce() -> None:
    """Says that the bot is imported, on what was standard output; whatever the bot prints goes to standard error."""
    os.write(STDOUT, b'{"ready":true}\n')
    os.close(STDOUT)


STDOUT = -1


def main() -> int:
    global STDOUT
    parser = argparse.ArgumentParser(prog="python -m trunkline.run", description="Run one call of a Pipecat bot.")
    parser.add_argument("--warm", action="store_true", help="import the bot, say so, and then wait for the job")
    parser.add_argument("file", help="the bot: a Python file with a function bot(runner_args)")
    asked = parser.parse_args()
    asked.warm = asked.warm or os.environ.get("TRUNKLINE_WARM") == "1"
    try:
        if asked.warm:
            STDOUT = os.dup(1)
            os.dup2(2, 1)
            bot = load(asked.file)
            for name in SOON_WANTED:
                importlib.import_module(name)
            announce()
            if not (text := sys.stdin.read()).strip():
                return 0  # not needed any more
            args = read_job(text)
        else:
            args = read_job(sys.stdin.read())
            bot = load(asked.file)
    except CannotRun as e:
        print(f"trunkline.run: {e}", file=sys.stderr)
        return 2
    return asyncio.run(serve(bot, args))


if __name__ == "__main__":
    sys.exit(main())
