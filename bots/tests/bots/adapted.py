# SPDX-License-Identifier: Apache-2.0
"""The dial-in bot of stock_dialin.py, and the lines of Trunkline's: for start APIs that cannot pass a ready room."""

import stock_dialin
from pipecat.runner.types import RunnerArguments

from trunkline import Call


async def bot(runner_args: RunnerArguments):
    call = Call.from_runner_args(runner_args)
    runner_args = call.runner_args(runner_args)
    await stock_dialin.bot(runner_args)


if __name__ == "__main__":
    from pipecat.runner.run import main

    main()
