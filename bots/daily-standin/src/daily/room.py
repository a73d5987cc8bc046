# SPDX-License-Identifier: Apache-2.0
"""A room of the simulator, as its join protocol has it: one request that is open for as long as one is inside."""

import http.client
import json
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

PATIENCE = 20.0  # seconds, as daily-python's for start_dialout


class Refused(Exception):
    """The room said no, or there is no such room."""


def _connect(url: str, timeout: float) -> tuple[http.client.HTTPConnection, str]:
    parts = urlsplit(url)
    host = parts.hostname or ""
    if host == "daily.co" or host.endswith(".daily.co"):
        raise Refused(
            f"{url} is Daily's: this is a stand-in for daily-python, for rooms of Trunkline's simulator alone"
        )
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    return kind(host, parts.port, timeout=timeout), parts.path.rstrip("/")


def _refusal(status: int, raw: bytes) -> Refused:
    try:
        told = json.loads(raw)
        return Refused(f"{told['error']}: {told['info']}")
    except (ValueError, KeyError, TypeError):
        return Refused(f"status {status}")


def ask(room_url: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Asks something of the room, and raises `Refused` if it says no or cannot be reached."""
    try:
        connection, base = _connect(room_url, PATIENCE)
        try:
            connection.request("POST", base + path, json.dumps(body), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            raw = answer.read()
        finally:
            connection.close()
        if answer.status != 200:
            raise _refusal(answer.status, raw)
        told = json.loads(raw)
    except (OSError, http.client.HTTPException, ValueError) as e:
        raise Refused(f"{path}: {e}") from e
    return told if isinstance(told, dict) else {}


class Room:
    """A room that one is in. Closing it is leaving."""

    def __init__(self, url: str, token: str | None, user_name: str) -> None:
        """Joins, or raises `Refused`."""
        self.url = url
        try:
            self._connection, path = _connect(url, PATIENCE)
            hello = {"user_name": user_name} | ({"token": token} if token else {})
            self._connection.request("POST", path + "/join", json.dumps(hello), {"Content-Type": "application/json"})
            assert self._connection.sock is not None
            self._socket: socket.socket = self._connection.sock  # the answer takes it out of the connection
            self._answer = self._connection.getresponse()
            if self._answer.status != 200:
                raise _refusal(self._answer.status, self._answer.read())
            self._socket.settimeout(None)
            self.joined: dict[str, Any] = json.loads(self._answer.readline())
        except (OSError, http.client.HTTPException, ValueError) as e:
            raise Refused(str(e)) from e

    def events(self) -> Iterator[dict[str, Any]]:
        """What happens, until the room is left, or is no more."""
        try:
            while line := self._answer.readline():
                event = json.loads(line)
                if event["event"] != "ping":
                    yield event
        except (OSError, http.client.HTTPException, ValueError, AttributeError):
            return  # the connection is closed, by whomever

    def close(self) -> None:
        """Leaves. Another thread that reads the events comes to their end."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the other side was faster
        self._socket.close()
