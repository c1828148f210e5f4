"""Pictures made wrong on purpose, the way networks, decoders, weather and people do it. Pixels are BGR, 0-255."""

import cv2
import numpy as np


def encoded(pixels, quality=90):
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def cut(data, share, *, is_closed=False):
    """Only the first part has arrived; `is_closed`: something has put an end marker behind it."""
    start = data.index(b"\xff\xda") + 20
    return data[: start + int((len(data) - start) * share)] + (b"\xff\xd9" if is_closed else b"")


def flipped(data, rng, count=3):
    """Bits of the coded picture turned over, no marker made or lost."""
    start = data.index(b"\xff\xda") + 20
    damaged = bytearray(data)
    done = 0
    while done < count:
        at = int(rng.integers(start, max(start + 1, len(data) - 40)))
        new = damaged[at] ^ (1 << int(rng.integers(0, 8)))
        if 0xFF not in (new, damaged[at], damaged[at - 1], damaged[at + 1]):
            damaged[at] = new
            done += 1
    return bytes(damaged)


def smeared(pixels, row):
    """Each row below repeats the one above, as decoders conceal what is lost."""
    damaged = pixels.copy()
    damaged[row:] = pixels[row]
    return damaged


def grey_below(pixels, row, column=0):
    """JPEG's zero, from within a row of blocks on."""
    damaged = pixels.copy()
    block = min(row + 16, len(pixels))
    damaged[row:block, column:] = 128
    damaged[block:] = 128
    return damaged


def green_below(pixels, row):
    """The planes of YUV 4:2:0 are zero below."""
    planes = cv2.cvtColor(pixels, cv2.COLOR_BGR2YUV)
    planes[row:] = 0
    return cv2.cvtColor(planes, cv2.COLOR_YUV2BGR)


def uniform(pixels, level):
    return np.full_like(pixels, level)


def torn(pixels, other, row, shift=0):
    """The upper part of one picture over the lower part of another, which may have slipped sideways."""
    damaged = pixels.copy()
    damaged[row:] = np.roll(other, shift, axis=1)[row:]
    return damaged


def defocused(pixels, share=1 / 120):
    return cv2.GaussianBlur(pixels, (0, 0), max(pixels.shape[:2]) * share)


def covered(pixels, rng, share=1.0, level=25):
    """A hand or a bag close before the lens: dark, soft, without detail, over a share of the picture."""
    height, width = pixels.shape[:2]
    cloth = rng.normal(level, level / 4, (5, 8, 3))
    cloth = cv2.resize(cloth, (width, height), interpolation=cv2.INTER_CUBIC)
    cloth += rng.normal(0, 1.5, cloth.shape)
    over = np.clip((share - np.linspace(0, 1, width)) * 12 + 0.5, 0, 1)[None, :, None]
    return np.clip(pixels * (1 - over) + cloth * over, 0, 255).astype(np.uint8)


def moved(pixels, shift=0.1, angle=0.0):
    """Looks elsewhere by a share of the width."""
    height, width = pixels.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1)
    turn[:, 2] += (width * shift, -height * shift / 3)
    return cv2.warpAffine(pixels, turn, (width, height), borderMode=cv2.BORDER_REFLECT_101)


def at_night(pixels, rng, level=0.05, noise=3.0):
    dark = (pixels / 255.0) ** 1.5 * 255 * level
    return np.clip(dark + rng.normal(2, noise, pixels.shape), 0, 255).astype(np.uint8)


def in_infrared(pixels, rng):
    height, width = pixels.shape[:2]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    grey = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY) * np.exp(-1.2 * (x * x + y * y)) * 0.8
    grey = np.clip(grey + rng.normal(3, 4, grey.shape), 0, 255).astype(np.uint8)
    return cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)


def in_fog(pixels, rng, density=0.85):
    """Koschmieder's law with the distance growing upwards; 0 is clear, 1 nothing but fog."""
    through = (1 - density) + density * 0.3 * np.linspace(0, 1, len(pixels))[:, None, None]
    return np.clip(pixels * through + 190 * (1 - through) + rng.normal(0, 1.5, pixels.shape), 0, 255).astype(
        np.uint8
    )


def in_snow(pixels, rng, flakes=600):
    falling = np.zeros(pixels.shape[:2], np.float32)
    height, width = falling.shape
    for x, y, size in zip(
        rng.integers(0, width, flakes),
        rng.integers(0, height, flakes),
        rng.integers(1, 4, flakes),
        strict=True,
    ):
        cv2.circle(falling, (int(x), int(y)), int(size), 1, -1)
    falling = cv2.GaussianBlur(falling, (0, 0), 1)[..., None]
    return (pixels * (1 - falling) + 245 * falling).astype(np.uint8)
