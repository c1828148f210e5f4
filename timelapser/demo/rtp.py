"""Pictures cut into RTP packets: H.264 by RFC 6184, JPEG by RFC 2435."""

import secrets
import struct
from collections.abc import Iterator

from timelapser.demo.feed import Picture

MAX_PAYLOAD_BYTES = 1400  # with all headers below the 1500 of Ethernet
PAYLOAD_TYPE_JPEG = 26  # RFC 3551
PAYLOAD_TYPE_H264 = 96  # dynamic, named in the SDP
FU_A = 28


class Packetiser:
    """One per viewer: numbers its packets from a chance start, as RFC 3550 wants."""

    def __init__(self, codec: str) -> None:
        self._codec = codec
        self._sequence = secrets.randbelow(1 << 16)
        self._source = secrets.randbits(32)
        self._offset = secrets.randbits(32)

    def packets(self, picture: Picture) -> Iterator[bytes]:
        if self._codec == "JPEG":
            payload_type, payloads = PAYLOAD_TYPE_JPEG, list(_jpeg_payloads(picture.parts[0]))
        else:
            payload_type = PAYLOAD_TYPE_H264
            payloads = [payload for unit in picture.parts for payload in _h264_payloads(unit)]
        for index, payload in enumerate(payloads):
            is_last = index == len(payloads) - 1
            yield self._header(payload_type, picture.timestamp, is_last=is_last) + payload

    def _header(self, payload_type: int, timestamp: int, *, is_last: bool) -> bytes:
        self._sequence = (self._sequence + 1) & 0xFFFF
        stamp = (timestamp + self._offset) & 0xFFFFFFFF
        return struct.pack(">BBHII", 0x80, payload_type | is_last << 7, self._sequence, stamp, self._source)


def _h264_payloads(unit: bytes) -> Iterator[bytes]:
    if len(unit) <= MAX_PAYLOAD_BYTES:
        yield unit
        return
    indicator = unit[0] & 0xE0 | FU_A
    kind = unit[0] & 0x1F
    step = MAX_PAYLOAD_BYTES - 2
    for start in range(1, len(unit), step):
        is_first, is_last = start == 1, start + step >= len(unit)
        yield bytes((indicator, is_first << 7 | is_last << 6 | kind)) + unit[start : start + step]


def _jpeg_payloads(jpeg: bytes) -> Iterator[bytes]:
    """RFC 2435, quantisation tables in the first packet (Q = 255); baseline 4:2:0, standard Huffman."""
    tables, width, height, scan = _read_jpeg(jpeg)
    position = 0
    while position < len(scan):
        head = struct.pack(">I", position) + bytes((1, 255, (width + 7) // 8, (height + 7) // 8))
        if position == 0:
            head += struct.pack(">BBH", 0, 0, len(tables)) + tables
        part = scan[position : position + MAX_PAYLOAD_BYTES - len(head)]
        yield head + part
        position += len(part)


def _read_jpeg(jpeg: bytes) -> tuple[bytes, int, int, bytes]:
    """(quantisation tables, width, height, scan data)"""
    tables, width, height = b"", 0, 0
    position = 2
    while True:
        marker, length = jpeg[position + 1], int.from_bytes(jpeg[position + 2 : position + 4])
        body = jpeg[position + 4 : position + 2 + length]
        position += 2 + length
        if marker == 0xDB:
            tables += b"".join(body[start + 1 : start + 65] for start in range(0, len(body), 65))
        elif marker == 0xC0:
            height, width = struct.unpack_from(">HH", body, 1)
        elif marker == 0xDA:
            return tables, width, height, jpeg[position:-2]
