"""Parts of a chat message that are not text: pictures, sound, documents, films, and what stands for the unbounded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from metering.allowances import Allowances
from metering.audio import seconds_max
from metering.errors import RequestShapeError
from metering.images import data_url_size
from metering.pdfs import pdf_pages

# What a page may hold beside its picture: a page of dense print. Source: Anthropic's page "PDF support" says up to
# 3,000, read 2026-11; recorded pages of OpenAI's had up to 1,109 in all.
PAGE_TEXT_TOKENS = 3_000
PictureRule = Callable[[str, str], int | None]  # of a URL and the detail that was asked for
SoundRule = Callable[[int], int]  # of seconds
TEXT_PARTS = frozenset({"text", "refusal"})


class Parts:
    """Adds up the parts of one request that are not text."""

    __slots__ = (
        *("allowed", "allowances", "audio_tokens", "image_tokens", "media_bytes"),
        *("_page_picture_tokens", "_picture", "_sound"),
    )

    def __init__(
        self,
        allowances: Allowances,
        *,
        picture: PictureRule,
        sound: SoundRule | None = None,
        page_picture_tokens: int | None = None,
    ) -> None:
        self.allowances = allowances
        self.image_tokens = 0
        self.audio_tokens = 0
        self.media_bytes = 0  # of the body, which the tokens above stand for
        self.allowed = False  # an allowance stands for one of them
        self._picture = picture
        self._sound = sound
        self._page_picture_tokens = (
            page_picture_tokens  # None: it is not known what this model makes of a PDF
        )

    def allow(self, kind: str, part: str, why: str) -> int:
        """Return what the tenant lets stand for a part. Raises: Uncountable where it lets nothing."""
        tokens = self.allowances.tokens_for(kind, part=part, why=why)
        self.allowed = True
        return tokens

    def count(self, part: dict[str, Any], param: str) -> int:
        """Bound one part's tokens, and note of which sort they are. Raises: Uncountable; RequestShapeError."""
        kind = part["type"]
        match kind:
            case "image_url":
                tokens = self._count_picture(part, param)
                self.image_tokens += tokens
            case "input_audio":
                tokens = self._count_sound(part, param)
                self.audio_tokens += tokens
            case "file":
                tokens = self._count_file(part, param)
            case "video_url":
                tokens = self.allow("video", f"{param}.{kind}", "the tokens of a film depend on its length")
            case "document_url":
                why = "the tokens of a document depend on its pages"
                tokens = self.allow("document", f"{param}.{kind}", why)
            case _:
                tokens = self.allow(
                    "server_tool", f"{param}.{kind}", "parts of this type have no known bound"
                )
        return tokens

    def _count_picture(self, part: dict[str, Any], param: str) -> int:
        picture = part.get("image_url")
        url = picture.get("url") if isinstance(picture, dict) else picture
        if not isinstance(url, str):
            raise RequestShapeError(f"{param}.image_url must have a url", f"{param}.image_url")
        self.media_bytes += len(url)
        detail = picture.get("detail") if isinstance(picture, dict) else None
        tokens = self._picture(url, detail if isinstance(detail, str) else "auto")
        allowed_tokens = self.allowances.find("image_url")
        if tokens is not None and allowed_tokens is not None and size_of(url) is None:
            # Of a picture elsewhere nobody knows the size: a tenant that knows its own need not hold for the largest.
            self.allowed = True
            return min(tokens, allowed_tokens)
        if tokens is None:
            return self.allow(
                "image_url", f"{param}.image_url", "what a picture costs on this model is not known"
            )
        return tokens

    def _count_sound(self, part: dict[str, Any], param: str) -> int:
        sound = part.get("input_audio")
        data = sound.get("data") if isinstance(sound, dict) else sound
        seconds = seconds_max(data.rpartition(";base64,")[2]) if isinstance(data, str) else None
        self.media_bytes += len(data) if isinstance(data, str) else 0
        if seconds is None or self._sound is None:
            why = "the tokens of a recording depend on its length, which this format or model does not tell"
            return self.allow("audio", f"{param}.input_audio", why)
        return self._sound(seconds)

    def _count_file(self, part: dict[str, Any], param: str) -> int:
        file = part.get("file")
        if not isinstance(file, dict):
            raise RequestShapeError(f"{param}.file must be an object", f"{param}.file")
        if file.get("file_id") is not None:
            return self.allow("file_id", f"{param}.file", "what an uploaded file holds is not in the request")
        data = file.get("file_data")
        head, mark, content = data.partition(";base64,") if isinstance(data, str) else ("", "", "")
        pages = None
        if mark and head == "data:application/pdf" and self._page_picture_tokens is not None:
            pages = pdf_pages(content)
        if pages is None or self._page_picture_tokens is None:
            return self.allow("document", f"{param}.file", "the pages of this document cannot be counted")
        self.media_bytes += len(content)
        self.image_tokens += pages * self._page_picture_tokens
        return pages * (PAGE_TEXT_TOKENS + self._page_picture_tokens)


def no_picture(url: str, detail: str) -> int | None:
    """The rule of a model of which it is not known what a picture costs."""
    return None


def size_of(url: str) -> tuple[int, int] | None:
    """A picture's size where its URL holds it; else None."""
    return data_url_size(url) if url.startswith("data:") else None
