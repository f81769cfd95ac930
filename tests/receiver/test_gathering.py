"""What is written in one turn of the loop leaves together, and nothing is left behind."""

import asyncio

from receiver.gathering import Gathering


class Recorded(asyncio.Transport):
    """Remembers what was asked of it, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[bytes | str] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.asked.append(bytes(data))

    def write_eof(self) -> None:
        self.asked.append("eof")

    def close(self) -> None:
        self.asked.append("close")

    def abort(self) -> None:
        self.asked.append("abort")

    def is_closing(self) -> bool:
        return "close" in self.asked


def gathering() -> tuple[Gathering, list[bytes | str]]:
    transport = Recorded()
    return Gathering(transport, asyncio.get_running_loop()), transport.asked


async def test_head_and_body_are_one_write_and_the_next_answer_is_another() -> None:
    answers, asked = gathering()
    answers.write(b"head ")
    answers.write(b"body")
    assert asked == []
    await asyncio.sleep(0)
    answers.write(b"more")
    await asyncio.sleep(0)
    assert asked == [b"head body", b"more"]


async def test_what_is_written_leaves_before_the_end() -> None:
    for end in ("close", "eof"):
        answers, asked = gathering()
        answers.write(b"last")
        answers.write(b" words")
        {"close": answers.close, "eof": answers.write_eof}[end]()
        await asyncio.sleep(0)
        assert asked == [b"last words", end]
        assert answers.is_closing() is (end == "close")


async def test_who_is_cut_off_gets_nothing_more() -> None:
    answers, asked = gathering()
    answers.write(b"never read")
    answers.abort()
    await asyncio.sleep(0)
    assert asked == ["abort"]


async def test_a_sender_that_left_in_between_is_written_nothing() -> None:
    answers, asked = gathering()
    answers.write(b"too late")
    answers.transport.close()
    await asyncio.sleep(0)
    answers.close()
    assert asked == ["close", "close"]
