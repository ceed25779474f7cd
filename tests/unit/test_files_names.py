from __future__ import annotations

import pytest

from gateway.files.names import LONGEST_NAME, content_type_of, name_in, safe_name


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("cat.png", "cat.png"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\x\\cat.png", "cat.png"),
        ("..", "file"),
        ("", "file"),
        ("/", "file"),
        (".bashrc", "bashrc"),
        ("a\0b\r\nX-Header: 1.png", "a_b__X-Header_ 1.png"),
        ('say "hi".png', "say _hi_.png"),
        ("\u202egnp.exe", "gnp.exe"),
        ("Füße und 猫.jpeg", "Füße und 猫.jpeg"),
        ("no ending", "no ending"),
        ("CON", "_CON"),
        ("nul.txt", "_nul.txt"),
        ("com1.tar.gz", "_com1.tar.gz"),
        ("LPT9 .pdf", "_LPT9.pdf"),
        ("console.txt", "console.txt"),
        ("..%2f..%2fetc", "2f._2fetc"),
        ("invoice\u202efdp.exe", "invoice_fdp.exe"),
        ("a\u2028b\u2066c\ufeff.png", "a_b_c_.png"),
    ],
)
def test_names_are_safe(name: str, safe: str) -> None:
    assert safe_name(name) == safe


@pytest.mark.parametrize(
    "name",
    ["a" * 300 + ".png", "a" * 5000 + ".png", "é" * 5000, "a." + "b" * 5000, "CON" + "." * 300],
)
def test_long_names_are_cut_before_their_ending(name: str) -> None:
    assert len(safe_name(name)) <= LONGEST_NAME
    assert not name.endswith(".png") or safe_name(name).endswith(".png")


def test_a_nameless_file_gets_the_ending_of_its_type() -> None:
    assert safe_name("", "image/png") == "file.png"


def test_the_name_in_an_address() -> None:
    assert name_in("https://x.example/blobs/ey--sig/My%20caf%C3%A9.jpg?a=/b") == "My café.jpg"
    assert name_in("https://x.example") == ""


@pytest.mark.parametrize(
    ("name", "told", "kind", "found"),
    [
        ("cat.png", "", "", "image/png"),
        ("cat", "image/PNG; charset=x", "image", "image/png"),
        ("note.webm", "", "audio", "audio/webm"),
        ("note", "video/webm", "audio", "audio/webm"),
        ("note.webm", "", "video", "video/webm"),
        ("cat", "", "file", "application/octet-stream"),
        ("cat.png", "application/octet-stream", "", "image/png"),
    ],
)
def test_the_type_of_a_file(name: str, told: str, kind: str, found: str) -> None:
    assert content_type_of(name, told, kind) == found
