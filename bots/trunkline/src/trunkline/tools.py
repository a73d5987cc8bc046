# SPDX-License-Identifier: Apache-2.0
"""Functions that an LLM may call, for `LLMContext(tools=[...])`."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from pipecat.adapters.llm.schemas.direct_function import tool_options
from pipecat.frames.frames import FunctionCallResultProperties
from pipecat.services.llm_service import FunctionCallParams

from .transfers import Target, TransferRefused

if TYPE_CHECKING:
    from .call import Call

Tool = Callable[..., Awaitable[None]]

QUIET = FunctionCallResultProperties(run_llm=False)
ELSEWHERE = {"status": "failed", "reason": "the caller is talking with somebody else"}


def transfer_tool(call: "Call", targets: Sequence[str | Target], name: str, mode: str, announcement: str) -> Tool:
    async def transfer_call(params: FunctionCallParams, target: str, summary: str) -> None:
        if call.silent:
            await params.result_callback(ELSEWHERE)
            return
        try:
            transfer = await call.transfer(
                target, mode=mode, summary=summary, announcement=announcement, idempotency_key=params.tool_call_id
            )
        except TransferRefused as e:
            await params.result_callback({"status": "failed", "reason": str(e)})
            return
        # How it goes on is told when it is known: a function that ran for as long as a phone rings would be cut off.
        result: dict[str, Any] = {"status": "accepted", "target": transfer.target or target}
        await params.result_callback(result, properties=QUIET if announcement else None)

    transfer_call.__name__ = name
    transfer_call.__doc__ = f"""Transfer the caller to a person.

    The caller is told, the person is called, and you are told if nobody could be had.{_choice(targets)}

    Args:
        target: The name of the target.
        summary: What the person must know of the caller, in one or two sentences.
    """
    # An interruption must not undo half of a transfer.
    return _with(transfer_call, tool_options(cancel_on_interruption=False, timeout_secs=20))


def end_call_tool(call: "Call", goodbye: str) -> Tool:
    async def end_call(params: FunctionCallParams, reason: str) -> None:
        """End the call, when both sides have said what they wanted. Say goodbye first.

        Args:
            reason: Why the call ends, in a few words.
        """
        if call.silent:
            await params.result_callback(ELSEWHERE)
            return
        await (call.say(goodbye) if goodbye else call.flush())
        await params.result_callback({"status": "ended"}, properties=QUIET)
        await call.hang_up(reason)

    # Until the goodbye has been heard, a caller who goes on talking keeps the call.
    return _with(end_call, tool_options(cancel_on_interruption=True, timeout_secs=60))


def _choice(targets: Sequence[str | Target]) -> str:
    lines = [
        f"- {t.name}: {t.description}" if isinstance(t, Target) and t.description else f"- {getattr(t, 'name', t)}"
        for t in targets
    ]
    return "\n\n    Targets:\n    " + "\n    ".join(lines) if lines else ""


def _with(function: Tool, options: Any) -> Tool:
    marked: Tool = options(function)
    return marked
