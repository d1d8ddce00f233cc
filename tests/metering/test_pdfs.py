from __future__ import annotations

import zlib
from base64 import b64encode

import pytest

from metering import pdfs
from metering.pdfs import pdf_pages

PAGE = b"<< /Type /Page /Parent 2 0 R >>\n"


def encoded(*parts: bytes) -> str:
    return b64encode(b"%PDF-1.7\n" + b"".join(parts)).decode()


def packed(content: bytes) -> bytes:
    return (
        b"<< /Type /ObjStm /N 2 /Filter /FlateDecode >>\nstream\r\n"
        + zlib.compress(content)
        + b"\nendstream\n"
    )


@pytest.mark.parametrize(
    ("parts", "pages"),
    [
        ([PAGE, PAGE, b"<< /Type /Pages /Count 2 >>"], 2),
        ([PAGE, b"<</Type/Pages/Count 7>>"], 7),
        ([PAGE * 3], 3),
        ([packed(PAGE * 4 + b"/Type /Pages /Count 4")], 4),
        ([PAGE, packed(PAGE * 4)], 5),
        ([b"<< /Linearized 1 /L 9 /N 12 >>", PAGE], 12),
    ],
)
def test_pages_are_counted_wherever_they_stand(parts: list[bytes], pages: int) -> None:
    assert pdf_pages(encoded(*parts)) == pages


@pytest.mark.parametrize(
    "content",
    [
        "",
        "not base64!",
        b64encode(PAGE).decode(),
        encoded(b"no pages"),
        encoded(PAGE, b"<< /Encrypt 5 0 R >>"),
        encoded(PAGE, b"<< /Type /ObjStm >>\nstream\nnot deflated"),
    ],
)
def test_a_document_that_cannot_be_read_has_no_count(content: str) -> None:
    assert pdf_pages(content) is None


def test_neither_a_large_document_nor_a_swelling_one_holds_up_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdfs, "_INFLATED_BYTES_MAX", 1000)
    assert pdf_pages(encoded(packed(PAGE * 30))) == 30
    assert pdf_pages(encoded(packed(PAGE * 30), packed(PAGE * 30))) is None
    monkeypatch.setattr(pdfs, "_OBJECT_STREAMS_MAX", 2)
    assert pdf_pages(encoded(packed(PAGE) * 2)) == 2
    assert pdf_pages(encoded(packed(PAGE) * 3)) is None
    monkeypatch.setattr(pdfs, "PDF_CHARS_MAX", 10)
    assert pdf_pages(encoded(PAGE)) is None
