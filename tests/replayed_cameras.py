"""Cameras of real makes: their recorded RTSP answers, with our own video behind them."""

import asyncio
import contextlib
import re
from dataclasses import dataclass

from timelapser.demo.rtp import Packetiser

PLAIN_PLAY = b"RTSP/1.0 200 OK\r\nCSeq: 0\r\nSession: 12345678\r\n\r\n"
PLAIN_SETUP = PLAIN_PLAY.replace(b"\r\n\r\n", b"\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n")
PLAIN_DESCRIBE = b"RTSP/1.0 200 OK\r\nCSeq: 0\r\nContent-Type: application/sdp\r\nContent-Length: 0\r\n\r\n"
OPTIONS = b"RTSP/1.0 200 OK\r\nCSeq: 0\r\nPublic: OPTIONS, DESCRIBE, SETUP, TEARDOWN, PLAY\r\n\r\n"


@dataclass
class Recording:
    describe: bytes
    setup: bytes = PLAIN_SETUP
    play: bytes = PLAIN_PLAY

    @classmethod
    def load(cls, folder, describe, setup=None, play=None):
        def read(name):
            return (folder / f"{name}.txt").read_bytes()

        answer = read(describe)
        if not answer.startswith(b"RTSP/"):  # only the description was kept
            answer = (
                b"RTSP/1.0 200 OK\r\nCSeq: 0\r\nContent-Type: application/sdp\r\nContent-Length: 0\r\n\r\n"
                + answer
            )
        return cls(answer, read(setup) if setup else PLAIN_SETUP, read(play) if play else PLAIN_PLAY)


def fit(answer, sequence_number):
    """The answer as recorded, but for the number of the request and the length of the body."""
    answer = answer.replace(b"\r\n", b"\n")
    head, _, body = answer.partition(b"\n\n")
    body = body.replace(b"\n", b"\r\n")
    head = re.sub(rb"(?mi)^cseq:.*$", b"CSeq: " + sequence_number, head)
    head = re.sub(rb"(?mi)^content-length:.*$", b"Content-Length: %d" % len(body), head)
    return head.replace(b"\n", b"\r\n") + b"\r\n\r\n" + body


def replay(recording, feed):
    """The talk of a RawServer."""
    video = re.search(rb"m=video \d+ RTP/AVP (\d+)", recording.describe)
    payload_type = int(video[1]) if video else 96
    channel = int(re.search(rb"interleaved=(\d+)", recording.setup)[1])

    async def play(writer):
        packetiser = Packetiser(feed.codec)
        async with contextlib.aclosing(feed.watch()) as pictures:
            async for picture in pictures:
                for packet in packetiser.packets(picture):
                    typed = packet[:1] + bytes((packet[1] & 0x80 | payload_type,)) + packet[2:]
                    writer.write(b"$" + bytes((channel,)) + len(typed).to_bytes(2) + typed)
                await writer.drain()

    async def talk(reader, writer):
        answers = {b"OPTIONS": OPTIONS, b"DESCRIBE": recording.describe, b"SETUP": recording.setup,
                   b"PLAY": recording.play}  # fmt: skip
        playing = None
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                method = re.search(rb"([A-Z_]+) \S+ RTSP/1.0\r\n", head)[1]
                number = re.search(rb"(?i)cseq: *(\d+)", head)[1]
                if method == b"TEARDOWN":
                    return
                writer.write(fit(answers[method], number))
                if method == b"PLAY":
                    playing = asyncio.create_task(play(writer))
        finally:
            if playing is not None:
                playing.cancel()
                await asyncio.gather(playing, return_exceptions=True)

    return talk
