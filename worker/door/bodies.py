"""Reads the bodies of the door's requests: in time, within bounds for each and for all together."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import web
from aiohttp.http import HttpProcessingError

from worker.door.answers import AnswerCode

_MOST_TOGETHER_BYTES: Final = 32 * 1024 * 1024
"""Of bodies that are being read: most come with their headers, in one go."""
_GO_ON: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class Bodies:
    """The bodies of requests that one door reads."""

    def __init__(self) -> None:
        self._held = 0

    async def read(
        self, request: web.BaseRequest, most_bytes: int, ends_at: float
    ) -> bytes | AnswerCode:
        """The body of a request, by `ends_at` (seconds of the loop's time), or why it has none."""
        if "Content-Encoding" in request.headers:
            return AnswerCode.ENCODED
        if request.headers.get("Transfer-Encoding", "chunked").strip().lower() != "chunked":
            return AnswerCode.ENCODED  # aiohttp reads the chunks and leaves them packed
        if (request.content_length or 0) > most_bytes:
            return AnswerCode.TOO_LARGE
        if self._held + (request.content_length or 0) > _MOST_TOGETHER_BYTES:
            return AnswerCode.BUSY
        try:
            if not request.content.is_eof():
                return await self._gathered(request, most_bytes, ends_at)
            body = request.content.read_nowait()
        except TimeoutError:
            return AnswerCode.TOO_SLOW
        except (ConnectionError, web.RequestPayloadError, HttpProcessingError):
            return AnswerCode.CUT_SHORT
        return body if len(body) <= most_bytes else AnswerCode.TOO_LARGE

    async def _gathered(
        self, request: web.BaseRequest, most_bytes: int, ends_at: float
    ) -> bytes | AnswerCode:
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout_at(ends_at):
                if request.headers.get("Expect", "").lower() == "100-continue":
                    await request.writer.write(_GO_ON)
                    request.writer.output_size = 0  # the answer has not begun
                while part := await request.content.readany():
                    parts.append(part)
                    size += len(part)
                    self._held += len(part)
                    if size > most_bytes:
                        return AnswerCode.TOO_LARGE
                    if self._held > _MOST_TOGETHER_BYTES:
                        return AnswerCode.BUSY
        finally:
            self._held -= size
        return b"".join(parts)
