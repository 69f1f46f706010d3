"""Image files of every kind become what the network was trained on."""

import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageDraw

from fastconv.cli import image as module
from fastconv.cli.image import as_digit, as_picture, read_grey
from fastconv.data import load_digits
from fastconv.errors import DataError

DIGITS = load_digits("test").images[:40]


def large(digit, side=280):
    """A digit as a drawing of that size, ink 1 on paper 0."""
    return np.asarray(Image.fromarray(digit).resize((side, side), Image.Resampling.BICUBIC), float) / 255


def likeness(prepared, digit):
    """Correlation, one pixel beside included: rounding the centre can fall on either side."""
    shifts = [np.roll(prepared, (y, x), (0, 1)) for y in (-1, 0, 1) for x in (-1, 0, 1)]
    return max(np.corrcoef(shifted.ravel().astype(float), digit.ravel().astype(float))[0, 1] for shifted in shifts)


def blend(ink, paper, pen):
    """Colours between paper and pen."""
    colours = np.asarray(paper) + ink[..., None] * (np.asarray(pen) - np.asarray(paper))
    return Image.fromarray(np.rint(np.clip(colours, 0, 255)).astype(np.uint8))


def photograph(ink):
    """A sheet in the light of a window, its edges out of focus, with sensor noise."""
    rng = np.random.default_rng(0)
    height, width = ink.shape
    light = np.linspace(0.95, 0.6, width) * np.linspace(1, 0.85, height)[:, None]
    return Image.fromarray(np.uint8(255 * np.clip(light * (1 - 0.75 * ink) + rng.normal(0, 0.02, ink.shape), 0, 1)))


STYLES = {
    "black on white": lambda ink: blend(ink, (255, 255, 255), (0, 0, 0)),
    "white on black": lambda ink: blend(ink, (0, 0, 0), (255, 255, 255)),
    "blue on cream": lambda ink: blend(ink, (250, 240, 215), (25, 40, 130)),
    "grey on grey": lambda ink: blend(ink, (120, 120, 120), (70, 70, 70)).convert("L"),
    "wide sheet": lambda ink: blend(np.pad(ink, ((0, 90), (300, 40))), (255, 255, 255), (0, 0, 0)),
    "photograph": photograph,
    "palette": lambda ink: blend(ink, (255, 255, 255), (0, 0, 0)).quantize(16),
    "one bit": lambda ink: Image.fromarray(ink < 0.5),
    "16 bit": lambda ink: Image.fromarray(np.uint16(65535 * (1 - ink))),
    "floats": lambda ink: Image.fromarray(np.float32(ink * 7 - 3)),
    "cmyk": lambda ink: blend(ink, (255, 255, 255), (0, 0, 0)).convert("CMYK"),
    "transparent": lambda ink: Image.fromarray(np.stack([0 * ink, 0 * ink, 0 * ink, 255 * ink], 2).astype(np.uint8)),
    "white on transparent": lambda ink: Image.fromarray(
        np.stack([255 + 0 * ink] * 3 + [255 * ink], 2).astype(np.uint8)
    ),
}


@pytest.mark.parametrize("style", STYLES)
def test_a_digit_looks_as_in_mnist(tmp_path, style):
    path = tmp_path / "digit.tiff"
    found = []
    for digit in DIGITS[:10]:
        STYLES[style](np.clip(large(digit), 0, 1)).save(path)
        prepared, steps = as_digit(path)
        assert prepared.shape == (28, 28)
        assert prepared.dtype == np.uint8
        assert prepared.max() == 255
        found.append(likeness(prepared, digit))
    assert np.mean(found) > 0.95, found
    assert min(found) > 0.85, found
    assert steps[0].startswith("read ")
    light = style not in ("white on black", "floats", "white on transparent")
    assert any("inverted" in step for step in steps) == light


def test_a_digit_of_mnist_stays_as_it_is(tmp_path):
    for digit in DIGITS:
        Image.fromarray(digit).save(tmp_path / "d.png")
        prepared, steps = as_digit(tmp_path / "d.png")
        np.testing.assert_array_equal(prepared, digit)
    assert steps[-1] == "left it as it is: it has the form of MNIST"


def test_a_small_digit_out_of_place_is_moved(tmp_path):
    digit = np.zeros((28, 28), np.uint8)
    digit[1:11, 2:5] = 255
    Image.fromarray(digit).save(tmp_path / "d.png")
    prepared, _ = as_digit(tmp_path / "d.png")
    rows = np.flatnonzero(prepared.max(1) > 60)
    assert np.ptp(rows) + 1 in (19, 20, 21)
    for marginal in (prepared.sum(1), prepared.sum(0)):
        assert abs(np.average(np.arange(28), weights=marginal) - 14) <= 0.51


def test_thin_strokes_are_thickened(tmp_path):
    drawing = Image.new("L", (900, 1200), 255)
    ImageDraw.Draw(drawing).line([(200, 200), (650, 200), (350, 1000)], fill=0, width=4)
    drawing.save(tmp_path / "seven.png")
    prepared, steps = as_digit(tmp_path / "seven.png")
    assert "thickened its thin strokes" in steps
    assert (prepared > 128).sum() > 30
    middle = prepared[14] > 60
    assert 1 <= middle.sum() <= 4


def test_specks_and_strokes_at_the_border(tmp_path):
    """A stroke that leaves the picture is ink, not background."""
    drawing = Image.new("L", (100, 100), 255)
    ImageDraw.Draw(drawing).line([(50, 0), (50, 99)], fill=0, width=10)
    drawing.save(tmp_path / "one.png")
    prepared, _ = as_digit(tmp_path / "one.png")
    assert np.flatnonzero((prepared[5:22] > 200).all(0)).size == 2
    assert not prepared[:, :11].any()
    assert not prepared[:, 17:].any()


def test_exif_orientation_is_followed(tmp_path):
    picture = STYLES["black on white"](large(DIGITS[0]))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees, clockwise
    picture.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "d.jpg", exif=exif, quality=95)
    prepared, steps = as_digit(tmp_path / "d.jpg")
    assert "turned as its EXIF orientation says" in steps
    assert likeness(prepared, DIGITS[0]) > 0.9


def test_large_images_are_reduced(tmp_path):
    picture = STYLES["black on white"](large(DIGITS[0], 2000))
    for name in ("d.png", "d.jpg"):
        picture.save(tmp_path / name)
        grey, _ = read_grey(tmp_path / name)
        assert max(grey.shape) <= 1024
        assert likeness(as_digit(tmp_path / name)[0], DIGITS[0]) > 0.9


def test_of_an_animation_the_first_frame_is_taken(tmp_path):
    frames = [STYLES["black on white"](large(digit)) for digit in DIGITS[:2]]
    frames[0].save(tmp_path / "d.gif", save_all=True, append_images=frames[1:])
    prepared, steps = as_digit(tmp_path / "d.gif")
    assert "took the first frame" in steps
    assert likeness(prepared, DIGITS[0]) > 0.9


def test_pictures_are_scaled_and_centred(tmp_path):
    picture = np.full((60, 30), 255, np.uint8)
    picture[20:40, 10:20] = 55
    Image.fromarray(picture).save(tmp_path / "shirt.png")
    prepared, steps = as_picture(tmp_path / "shirt.png")
    assert prepared.shape == (28, 28)
    assert (prepared[12:16, 13:15] > 190).all()
    assert not prepared[:, :7].any()
    assert steps[-1] == "scaled to 14 x 28 and centred in 28 x 28"
    Image.fromarray(255 - picture).save(tmp_path / "dark.png")
    np.testing.assert_allclose(as_picture(tmp_path / "dark.png")[0], prepared, atol=1)


def png(width, height):
    """The beginning of a PNG file that claims this size."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an image"),
        (b"hello", "not an image in a format that Pillow reads"),
        (png(60_000, 60_000), "60000 x 60000 pixels, at most 64,000,000 are allowed|not an image"),
        (png(2**31 - 1, 2**31 - 1), "pixels|not an image"),
        (png(9_000, 9_000), "9000 x 9000 pixels"),
        (png(0, 10), "not an image"),
        (png(100, 100), "not an image that can be read"),
        (png(100, 100)[:60], "not an image that can be read"),
    ],
)
def test_damaged_and_giant_files_are_refused(tmp_path, content, message):
    path = tmp_path / "d.png"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as error:
        as_digit(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (28, 28), (40, 30)])
@pytest.mark.parametrize("level", [0, 128, 255])
def test_blank_images_are_refused(tmp_path, size, level):
    Image.new("L", size, level).save(tmp_path / "d.png")
    with pytest.raises(DataError, match="is blank"):
        as_digit(tmp_path / "d.png")


def test_noise_alone_is_blank(tmp_path):
    noise = np.random.default_rng(0).normal(240, 2, (200, 200))
    Image.fromarray(noise.astype(np.uint8)).save(tmp_path / "d.png")
    with pytest.raises(DataError, match="is blank"):
        as_digit(tmp_path / "d.png")


@pytest.mark.parametrize("shape", [(1, 2), (2, 1), (1, 40), (40, 1), (3, 3), (2, 300)])
def test_tiny_and_narrow_images_work(tmp_path, shape):
    pixels = np.zeros(shape, np.uint8)
    pixels[-1, -1] = 255
    Image.fromarray(pixels).save(tmp_path / "d.png")
    for prepare in (as_digit, as_picture):
        assert prepare(tmp_path / "d.png")[0].shape == (28, 28)


def test_what_is_no_file_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        as_digit(tmp_path / "nothing")
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(DataError, match="not a regular file"):
            as_digit(path)


def test_the_limit_is_one_that_phones_keep():
    assert module.MAX_PIXELS > 50_000_000
