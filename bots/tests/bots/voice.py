# SPDX-License-Identifier: Apache-2.0
"""The examples' voice, for bots that are in another folder."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "examples"))

from scripted import ScriptedVoice

__all__ = ["ScriptedVoice"]
