# SPDX-License-Identifier: Apache-2.0
"""Where some import from what belongs to the package: Daily's own native module has this name."""

from . import *  # noqa: F403
