"""The two clients: one blocks, one is awaited; both have every resource of the API as an attribute."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import httpx

from farebox.resources import AsyncResources, Resources
from farebox.transport import RETRIES, TIMEOUT_SECONDS, AsyncSender, Sender


def _headers(api_key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {api_key}", "User-Agent": "farebox-python/0.1"}


class Farebox(Resources):
    """A client that blocks. Use it in a ``with`` block, or close it.

    ``retries`` is how often a request is sent again where that is safe; an ``http`` client of your own is left open.
    """

    def __init__(
        self,
        api_key: str,
        *,
        base_url: str,
        retries: int = RETRIES,
        timeout_seconds: float = TIMEOUT_SECONDS,
        http: httpx.Client | None = None,
    ) -> None:
        self._own = http is None
        self._http = http or httpx.Client(timeout=timeout_seconds)
        self._http.base_url = httpx.URL(base_url)
        self._http.headers.update(_headers(api_key))
        super().__init__(Sender(self._http, retries=retries))

    def close(self) -> None:
        """Close the connections."""
        if self._own:
            self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncFarebox(AsyncResources):
    """A client that is awaited. Use it in an ``async with`` block, or close it. Options as for ``Farebox``."""

    def __init__(
        self,
        api_key: str,
        *,
        base_url: str,
        retries: int = RETRIES,
        timeout_seconds: float = TIMEOUT_SECONDS,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        self._own = http is None
        self._http = http or httpx.AsyncClient(timeout=timeout_seconds)
        self._http.base_url = httpx.URL(base_url)
        self._http.headers.update(_headers(api_key))
        super().__init__(AsyncSender(self._http, retries=retries))

    async def close(self) -> None:
        """Close the connections."""
        if self._own:
            await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
