# SPDX-License-Identifier: Apache-2.0
"""`python -m trunkline.run`: the job on standard input, one process, one call."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest

JOB = {"room_url": "http://x/y", "token": "t", "session_id": "c1-1", "body": {"trunkline": {"attempt": 1}}}

TELLS = """
import json
async def bot(args):
    told = {"room": args.room_url, "token": args.token, "session": args.session_id, "body": args.body}
    print(type(args).__name__, json.dumps(told))
"""
FAILS = "async def bot(args):\n    raise RuntimeError('no voice today')\n"
WAITS = """
import asyncio
async def bot(args):
    print("waiting", flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        print("tidied up", flush=True)
"""


async def start(tmp_path: Path, bot: str | None, *flags: str, **env: str) -> asyncio.subprocess.Process:
    file = tmp_path / "my_bot.py"
    if bot is not None:
        file.write_text(bot)
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "trunkline.run",
        *flags,
        str(file),
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        env=os.environ | env,
    )


async def test_the_bot_gets_the_job_as_runner_arguments(tmp_path: Path):
    process = await start(tmp_path, TELLS)
    out, err = await process.communicate(json.dumps(JOB).encode())
    assert process.returncode == 0, err
    kind, told = out.decode().split(" ", 1)
    assert kind == "DailyRunnerArguments"
    assert json.loads(told) == {"room": "http://x/y", "token": "t", "session": "c1-1", "body": JOB["body"]}


@pytest.mark.parametrize(
    ("bot", "text", "status", "says"),
    [
        (FAILS, json.dumps(JOB), 1, "no voice today"),
        ("x = 1", json.dumps(JOB), 2, "has no function bot()"),
        (None, json.dumps(JOB), 2, "there is no such file"),
        (TELLS, "", 2, "not one JSON document"),
        (TELLS, json.dumps(JOB) * 2, 2, "not one JSON document"),
        (TELLS, '{"token": "t"}', 2, "not one JSON document"),
    ],
    ids=["a bot that fails", "no bot()", "no file", "no job", "two jobs", "no room"],
)
async def test_what_cannot_be_run_says_why(bot: str | None, text: str, status: int, says: str, tmp_path: Path):
    process = await start(tmp_path, bot)
    _, err = await process.communicate(text.encode())
    assert (process.returncode, says in err.decode()) == (status, True), err.decode()


async def test_sigterm_lets_the_bot_tidy_up(tmp_path: Path):
    process = await start(tmp_path, WAITS)
    process.stdin.write(json.dumps(JOB).encode())
    process.stdin.close()
    assert await process.stdout.readline() == b"waiting\n"
    process.send_signal(signal.SIGTERM)
    assert await process.stdout.readline() == b"tidied up\n"
    assert await process.wait() == 128 + signal.SIGTERM


@pytest.mark.parametrize("asked", ["by flag", "by environment"])
async def test_a_warm_bot_is_imported_before_its_job_comes(asked: str, tmp_path: Path):
    flags, env = (["--warm"], {}) if asked == "by flag" else ([], {"TRUNKLINE_WARM": "1"})
    process = await start(tmp_path, "print('noise of an import')\n" + TELLS, *flags, **env)
    assert await process.stdout.readline() == b'{"ready":true}\n'
    out, err = await process.communicate(json.dumps(JOB).encode())
    assert process.returncode == 0, err
    assert out == b"", "what the bot prints goes elsewhere"
    assert "noise of an import" in err.decode()
    assert '"session": "c1-1"' in err.decode()


async def test_a_warm_bot_that_is_not_needed_ends_well(tmp_path: Path):
    process = await start(tmp_path, TELLS, "--warm")
    await process.stdout.readline()
    await process.communicate(b"")
    assert process.returncode == 0


async def test_a_warm_bot_serves_one_job(tmp_path: Path):
    process = await start(tmp_path, TELLS, "--warm")
    await process.stdout.readline()
    _, err = await process.communicate(json.dumps(JOB).encode() * 2)
    assert process.returncode == 2
    assert "not one JSON document" in err.decode()
