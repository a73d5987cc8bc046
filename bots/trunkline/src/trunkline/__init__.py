# SPDX-License-Identifier: Apache-2.0
"""Trunkline's helper for Pipecat bots.

A bot asks `Call.from_runner_args` for its call and talks through it. Without Trunkline that call does nothing.
"""

from .call import BotFailed, Call
from .gateway import GatewayError
from .job import Job
from .transfers import Leg, State, Target, Transfer, TransferRefused

__all__ = [
    "BotFailed",
    "Call",
    "GatewayError",
    "Job",
    "Leg",
    "State",
    "Target",
    "Transfer",
    "TransferRefused",
]
