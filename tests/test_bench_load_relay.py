"""The relay of the load benchmark: every byte arrives, and what was asked and answered is read from frames."""

from __future__ import annotations

import asyncio
import json
import os
import time

import numpy as np
import pytest
from conftest import free_port

from scripts.benchmarks.load_relay import COOKIE, Answer, Conversation, Messages, read_answers, relay, time_served
from tests.event_loops import run_apart


def frame(payload: bytes, kind: int = 2, last: bool = True, mask: bytes = b"") -> bytes:
    """A frame as RFC 6455, section 5.2, lays it out."""
    size, flag = len(payload), 0x80 if mask else 0
    if size < 126:
        head = bytes([flag | size])
    elif size < 2**16:
        head = bytes([flag | 126]) + size.to_bytes(2, "big")
    else:
        head = bytes([flag | 127]) + size.to_bytes(8, "big")
    if mask:
        payload = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
    return bytes([(0x80 if last else 0) | kind]) + head + mask + payload


def asks() -> bytes:
    from streamlit.proto.BackMsg_pb2 import BackMsg

    message = BackMsg()
    message.rerun_script.query_string = "catalog=demo"
    return message.SerializeToString()


def finished(how: str = "FINISHED_SUCCESSFULLY") -> bytes:
    from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

    return ForwardMsg(script_finished=ForwardMsg.ScriptFinishedStatus.Value(how)).SerializeToString()


def other() -> bytes:
    from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

    message = ForwardMsg()
    message.delta.new_element.text.body = "a card"
    return message.SerializeToString()


@pytest.mark.parametrize("mask", [b"", b"\x01\xfe\x00\x7f"])
@pytest.mark.parametrize("step", [1, 7, 10**6])
def test_messages_come_whole_however_their_bytes_arrive(mask, step):
    wanted = [b"", b"short", bytes(range(256)) * 2, os.urandom(70_000) if step > 1 else b"x" * 130]
    data = b"".join(frame(one, mask=mask) for one in wanted)
    messages = Messages()
    found = [message for start in range(0, len(data), step) for message in messages.feed(data[start : start + step])]
    assert found == wanted


def test_parts_are_joined_and_control_frames_between_them_left_out():
    parts = [frame(b"one ", last=False), frame(b"ping", kind=9), frame(b"two ", 0, last=False), frame(b"three", kind=0)]
    assert list(Messages().feed(b"".join(parts))) == [b"one two three"]


def test_runs_answer_requests_in_their_order():
    talk = Conversation()
    talk.ask(frame(asks(), mask=b"abcd"), 1.0)
    talk.ask(frame(asks(), mask=b"abcd") + frame(asks(), mask=b"abcd"), 2.0)
    assert talk.answer(frame(other())) == []
    assert talk.answer(frame(finished())) == [1.0]
    assert talk.answer(frame(finished("FINISHED_EARLY_FOR_RERUN"))) == []  # both that wait are answered by one run
    assert talk.answer(frame(other()) + frame(finished("FINISHED_FRAGMENT_RUN_SUCCESSFULLY"))) == [2.0]
    assert talk.answer(frame(finished())) == []  # nobody asked


def test_what_is_no_request_asks_nothing():
    from streamlit.proto.BackMsg_pb2 import BackMsg

    talk = Conversation()
    talk.ask(frame(BackMsg(stop_script=True).SerializeToString(), mask=b"abcd"), 1.0)
    assert not talk.asked


def test_the_servers_part_of_a_click_is_what_lies_within_it():
    answers = [Answer(1, 0.9, 1.1), Answer(1, 1.2, 1.5), Answer(2, 1.1, 1.9), Answer(1, 1.6, 1.7), Answer(1, 3.0, 3.1)]
    assert np.allclose(time_served([(1.0, 2.0), (4.0, 5.0)], answers, 1), [0.4])  # 0.3 and 0.1, and a pause between
    overlapping = [Answer(1, 1.0, 1.4), Answer(1, 1.2, 1.3), Answer(1, 1.3, 1.6)]
    assert np.allclose(time_served([(1.0, 2.0)], overlapping, 1), [0.6])
    assert time_served([], answers, 1) == time_served([(1.0, 2.0)], [], 1) == []


async def speak(url: str, address: tuple[str, int]) -> tuple[bytes, bytes]:
    """Ask a plain page, then talk over a websocket, through the relay; a server beside it answers after 0.2 s."""
    seen = []

    async def serve(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        seen.append(head)
        if b"upgrade" not in head.lower():
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + await reader.readexactly(3))
        else:
            writer.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
            await reader.readexactly(len(frame(asks(), mask=b"abcd")))
            await asyncio.sleep(0.2)
            writer.write(frame(other()) + frame(finished()))
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, *address):
        host, port = url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"POST /page HTTP/1.1\r\n\r\nabc")
        plain = await reader.read()
        writer.close()
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            b"GET /_stcore/stream HTTP/1.1\r\nUpgrade: websocket\r\n"
            + f"Cookie: a=b; {COOKIE}=17\r\n".encode()
            + b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
        )
        await reader.readuntil(b"\r\n\r\n")
        writer.write(frame(asks(), mask=b"abcd"))
        spoken = await reader.read()
        writer.close()
    assert b"deflate" not in seen[-1] and b"Upgrade: websocket\r\n" in seen[-1]
    return plain, spoken


def test_through_the_relay_every_byte_arrives_and_answers_are_timed(tmp_path):
    address = "127.0.0.1", free_port()
    file, begun = tmp_path / "answers.jsonl", time.monotonic()
    with relay(f"http://{address[0]}:{address[1]}", file) as url:
        plain, spoken = run_apart(asyncio.wait_for(speak(url, address), 60))
    assert plain.endswith(b"\r\n\r\nabc") and spoken == frame(other()) + frame(finished())
    (answer,) = read_answers(file)
    assert answer.visitor == 17 and begun < answer.asked < answer.answered < time.monotonic()
    assert answer.answered - answer.asked > 0.15
    assert json.loads(file.read_text()) == [17, answer.asked, answer.answered]


def test_nothing_was_answered_where_there_is_no_file(tmp_path):
    assert read_answers(tmp_path / "none.jsonl") == []
