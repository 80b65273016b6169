"""Small pictures as they are sent, and one that claims to be large."""

import base64
import io
import struct
import zlib

from PIL import Image


def picture(kind: str, side: int = 8) -> bytes:
    """A picture of one colour beside another; an MPO holds it twice, as of two lenses."""
    image = Image.new("RGB", (side, side), (200, 100, 0))
    image.paste((30, 60, 90), (side // 2, 0, side, side))
    file = io.BytesIO()
    more = {"save_all": True, "append_images": [image]} if kind == "MPO" else {}
    image.save(file, kind, **more)
    return file.getvalue()


def bomb(width: int, height: int) -> bytes:
    """A PNG that claims its size and holds next to nothing."""

    def chunk(name: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + check

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(b"\0")), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def sent(content: bytes) -> str:
    """As it stands in a request."""
    return base64.b64encode(content).decode()
