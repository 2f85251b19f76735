"""How long a Streamlit server takes to answer each message of each visitor, read off the wire by a relay before it.

A browser's own clock also counts the time it takes to draw, which on the server's machine says how many browsers share
its processors. The relay is a process of its own between browsers and server. It passes on every byte, reads the frames
of websockets (RFC 6455), and notes when a request to run a page, or a part of one, comes by, and when the word that it
has run goes back. Who asked is read from a cookie.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import re
import socket
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

COOKIE = "atlas_visitor"
_WHO = re.compile(COOKIE.encode() + rb"=(\d+)")
_DEFLATE = re.compile(rb"sec-websocket-extensions:[^\r]*\r\n", re.IGNORECASE)
_CHUNK_BYTES, _HEAD_BYTES = 2**16, 2**16


@dataclass(frozen=True)
class Answer:
    """A message of a visitor, and when it was asked and answered, in seconds of `time.monotonic`."""

    visitor: int
    asked: float
    answered: float


class Messages:
    """Binary messages in the bytes of one direction of a websocket that is not compressed."""

    def __init__(self) -> None:
        self.unread, self.parts = bytearray(), bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Messages that are complete with these bytes."""
        self.unread += data
        while (frame := self._frame()) is not None:
            last, kind, payload = frame
            if kind <= 2:  # text, binary, or more of either; others are control frames, which may come between
                self.parts += payload
                if last:
                    yield bytes(self.parts)
                    self.parts.clear()

    def _frame(self) -> tuple[bool, int, bytes] | None:
        if len(self.unread) < 2:
            return None
        first, second = self.unread[:2]
        size, start = second & 0x7F, 2
        if size >= 126:
            wide = 2 if size == 126 else 8
            size, start = int.from_bytes(self.unread[2 : 2 + wide], "big"), 2 + wide
        masked = 4 if second & 0x80 else 0
        if len(self.unread) < start + masked + size:
            return None
        payload = bytes(self.unread[start + masked : start + masked + size])
        if masked:
            mask = np.resize(np.frombuffer(bytes(self.unread[start : start + 4]), np.uint8), size)
            payload = (np.frombuffer(payload, np.uint8) ^ mask).tobytes()
        del self.unread[: start + masked + size]
        return bool(first & 0x80), first & 0x0F, payload


class Conversation:
    """What one session asks and is told; each run that ends answers the oldest request."""

    def __init__(self) -> None:
        self.asked: deque[float] = deque()
        self.up, self.down = Messages(), Messages()

    def ask(self, data: bytes, now: float) -> None:
        """Bytes a browser sent."""
        from streamlit.proto.BackMsg_pb2 import BackMsg

        for message in self.up.feed(data):
            if BackMsg.FromString(message).WhichOneof("type") == "rerun_script":
                self.asked.append(now)

    def answer(self, data: bytes) -> list[float]:
        """When what these bytes of the server answer was asked."""
        from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

        found = []
        for payload in self.down.feed(data):
            message = ForwardMsg.FromString(payload)
            if message.WhichOneof("type") != "script_finished" or not self.asked:
                continue
            if message.script_finished == ForwardMsg.FINISHED_EARLY_FOR_RERUN:
                if len(self.asked) > 1:  # a later request took the place of the one that ran: one run answers both
                    del self.asked[1]
            else:
                found.append(self.asked.popleft())
        return found


@contextmanager
def relay(url: str, file: Path) -> Iterator[str]:
    """The address of a relay to the server at ``url``; answers are written to ``file``, see `read_answers`."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    server = (urlsplit(url).hostname, urlsplit(url).port)
    process = multiprocessing.get_context("spawn").Process(target=_work, args=(listener, server, file), daemon=True)
    process.start()
    listener.close()  # the process has its own
    try:
        yield address
    finally:
        process.terminate()
        process.join(30)


def read_answers(file: Path) -> list[Answer]:
    """Everything that was answered so far."""
    lines = file.read_text().splitlines() if file.exists() else []
    return [Answer(*json.loads(line)) for line in lines]


def time_served(spans: Sequence[tuple[float, float]], answers: Sequence[Answer], visitor: int) -> list[float]:
    """Seconds of each span of a visitor in which the server had something to answer; spans without any are left out.

    What a slow browser takes between one request and the next is not the server's.

    Parameters
    ----------
    spans : sequence of (float, float)
        From when a visitor did something until what it brings was there, in seconds of `time.monotonic`.
    """
    own = [answer for answer in answers if answer.visitor == visitor]
    found = []
    for begun, ended in spans:
        inside = [answer for answer in own if begun <= answer.asked and answer.answered <= ended]
        total, until = 0.0, begun
        for answer in sorted(inside, key=lambda one: one.asked):
            total += max(answer.answered - max(answer.asked, until), 0.0)
            until = max(until, answer.answered)
        if inside:
            found.append(total)
    return found


def _work(listener: socket.socket, server: tuple[str, int], file: Path) -> None:
    import streamlit.proto.BackMsg_pb2
    import streamlit.proto.ForwardMsg_pb2  # noqa: F401  now, and not while the first visitor waits

    with file.open("a", buffering=1) as out:
        asyncio.run(_serve(listener, server, out))


async def _serve(listener: socket.socket, server: tuple[str, int], out) -> None:
    async def welcome(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            there, away = await asyncio.open_connection(*server, limit=_HEAD_BYTES)
            await _connect(reader, writer, there, away, out)
            away.close()
        writer.close()

    async with await asyncio.start_server(welcome, sock=listener, limit=_HEAD_BYTES) as running:
        await running.serve_forever()


async def _connect(reader, writer, there, away, out) -> None:
    """One connection of a browser, until either side ends it."""
    head = await reader.readuntil(b"\r\n\r\n")
    talk = Conversation() if b"upgrade: websocket" in head.lower() else None
    if talk:
        head = _DEFLATE.sub(b"", head)  # else the server compresses what it says
    who = _WHO.search(head)
    visitor = int(who[1]) if who else -1
    away.write(head)

    async def up() -> None:
        while data := await reader.read(_CHUNK_BYTES):
            if talk:
                talk.ask(data, time.monotonic())
            away.write(data)
            await away.drain()
        away.write_eof()

    async def down() -> None:
        if talk:
            writer.write(await there.readuntil(b"\r\n\r\n"))
        while data := await there.read(_CHUNK_BYTES):
            for asked in talk.answer(data) if talk else ():
                out.write(json.dumps([visitor, asked, time.monotonic()]) + "\n")
            writer.write(data)
            if not talk:  # else a browser that reads slowly would hold up the word that a page has run
                await writer.drain()
        writer.write_eof()

    tasks = [asyncio.create_task(up()), asyncio.create_task(down())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED if talk else asyncio.ALL_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
