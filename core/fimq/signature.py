"""Signatures: what a file is by its first bytes, decided without parsing it.

Submit refuses what is plainly no video; whatever passes is judged by the decode child,
never by the process that submits. Sources: the magic numbers of each format's own
specification.
"""

from __future__ import annotations

#: How many bytes `kind` looks at.
LENGTH = 4096

#: What a refused file starts like, as (prefix, words).
_REFUSED: tuple[tuple[bytes, str], ...] = (
    (b"%PDF", "a PDF"),
    (b"PK\x03\x04", "a ZIP archive or office document"),
    (b"PK\x05\x06", "a ZIP archive"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"#!", "a script"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"SQLite format 3", "a database"),
    (b"#EXTM3U", "a playlist"),
    (b"ffconcat", "a playlist"),
    (b"v=0\r\n", "a session description"),
    (b"v=0\no=", "a session description"),
    (b"\xd0\xcf\x11\xe0", "an office document"),
    (b"{\\rtf", "a text document"),
    (b"ID3", "a sound file"),
    (b"fLaC", "a sound file"),
)

_TEXT = frozenset(range(0x20, 0x7F)) | frozenset(b"\t\n\r\f\x1b")


def refusal(head: bytes) -> str | None:
    """In words, what a file that starts with `head` is, if it is plainly no video; else None."""
    body = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    for prefix, words in _REFUSED:
        if body.startswith(prefix):
            return words
    if body.startswith(b"RIFF") and body[8:12] == b"WAVE":
        return "a sound file"
    lowered = body[:1024].lower()
    if lowered.startswith((b"<!doctype html", b"<html")):
        return "a web page"
    if lowered.startswith((b"<?xml", b"<mpd")):
        return "an XML file or playlist"
    if _is_text(head):
        return "a text file"
    return None


def _is_text(head: bytes) -> bool:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return _is_wide_text(head)
    if 0 in head:
        return False
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        # A character cut at the end of what was read is no proof against text.
        if error.start < len(head) - 4:
            return False
    return sum(byte in _TEXT or byte >= 0x80 for byte in head) == len(head)


def _is_wide_text(head: bytes) -> bool:
    # FF FE and FF FB open MPEG audio frames too; UTF-16 of ASCII has a zero at every other byte.
    return head[2::2].count(0) + head[3::2].count(0) >= (len(head) - 2) // 2 - 1
