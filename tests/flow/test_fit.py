"""What is read ahead; how a message fits a peer is told in test_send, over real sessions."""

from pathlib import Path

from daemon.flow.fit import Content, read_ahead
from daemon.store.blobs import Place
from daemon.store.queue import Message
from daemon.store.segments import Appender, Reader
from daemon.store.spool import Body


def message(id: int, place: Place) -> Message:
    return Message(id, "t", place, b"P", 1 + place.length, "", None, False, False, None, None, "relay", 0, 0, None)


def test_small_messages_are_read_ahead_in_few_reads(tmp_path: Path) -> None:
    tmp_path.joinpath("segments").mkdir()
    reads = []

    class Counting(Reader):
        def read(self, segment: int, offset: int, length: int) -> bytes:
            reads.append(length)
            return super().read(segment, offset, length)

    appender, reader = Appender(tmp_path / "segments", 1), Counting(tmp_path / "segments")
    sizes = [2000] * 40 + [100_000] + [2000] * 300 + [0]
    bodies = [Body.of(bytes([65 + i % 26]) * size) for i, size in enumerate(sizes)]
    appender.append(bodies)
    messages = [message(id, Place(1, body.offset, body.size)) for id, body in enumerate(bodies)]
    lost = [message(-1, Place(1, 10**7, 50)), message(-2, Place(9, 44, 50))]
    found = read_ahead(reversed([*messages, *lost, messages[0]]), reader)
    for made, body in zip(messages, bodies, strict=True):
        assert found.get(made.id) == (body.bytes() if body.size < 100_000 else None)
        assert Content(made, reader, found.get(made.id)).whole() == b"P" + body.bytes()
    assert found.keys().isdisjoint((-1, -2)), "found out later, by whoever needs it"
    assert len(reads) - 1 <= 7, "one before the long one, some behind it, two that fail, and the long one itself"
    appender.close()
    reader.close()
