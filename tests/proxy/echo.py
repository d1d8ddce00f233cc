"""A provider that remembers the very bytes it was sent and answers with the bytes it was told to."""

from __future__ import annotations

import re
import socket
import threading
import time

ANSWER = (
    b'{"id":"x","object":"chat.completion","model":"sim-mini","choices":[{"index":0,"message":{"role":"assistant",'
    b'"content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":8,"completion_tokens":1,"total_tokens":9}}'
)


class Echo:
    """One thread a connection; ``pieces`` is what a stream is made of, written one by one."""

    def __init__(self) -> None:
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []
        self.status = b"200 OK"
        self.kind = b"application/json"
        self.pieces: list[bytes] = [ANSWER]
        self.between_seconds = 0.0
        self.extra_headers = b"set-cookie: a=b\r\nx-secret: 1\r\n"
        self.answers = True
        self.written = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.base_url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/v1"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._socket.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as lines:
            try:
                while head := self._read_head(lines):
                    length = re.search(rb"(?i)content-length: (\d+)", head)
                    self.heads.append(head)
                    self.bodies.append(lines.read(int(length[1])) if length else b"")
                    if not self.answers:
                        return
                    self._answer(connection)
            except OSError:
                return

    @staticmethod
    def _read_head(lines: object) -> bytes:
        head = b""
        while line := lines.readline():  # type: ignore[attr-defined]
            if line == b"\r\n":
                break
            head += line
        return head

    def _answer(self, connection: socket.socket) -> None:
        head = b"HTTP/1.1 %b\r\ncontent-type: %b\r\n%btransfer-encoding: chunked\r\n\r\n"
        connection.sendall(head % (self.status, self.kind, self.extra_headers))
        for piece in self.pieces:
            connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
            self.written += len(piece)
            time.sleep(self.between_seconds)
        connection.sendall(b"0\r\n\r\n")
