"""Honest clients that read slowly: each byte of each response must come, and then a FIN."""

import os
import time

from client import CLOSE, CLOSE_WAIT, ESTABLISHED, connect, state, unread


class Reader:
    """One honest client: it reads `rate` bytes a second, when at least `lump` of them are due."""

    def __init__(self, to, buffer, how, size, rate, lump=1):
        self.to, self.buffer, self.how = to, buffer, how
        self.size, self.rate, self.lump = size, rate, lump
        self.whole = 0
        self.client = None

    def __str__(self):
        return (
            f"{self.how}, {self.size} bytes at {self.rate} B/s in lumps of {self.lump}, "
            f"receive buffer {self.buffer or 'default'}"
        )

    def begin(self):
        if not self.client:
            self.client = connect(self.to, "127.0.0.7", self.buffer)
        self.client.setblocking(False)
        self.began, self.got = time.monotonic(), 0
        self.head, self.body, self.length = b"", 0, None
        self.upload = b""
        if self.how == "ended by the close":
            self.upload = b"x" * self.size
            head = f"POST /stream HTTP/1.0\r\nContent-Length: {self.size}\r\n\r\n"
        elif self.how == "close":
            head = f"GET /big/{self.size} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        else:
            head = f"GET /big/{self.size} HTTP/1.1\r\nHost: a\r\n\r\n"
        self.client.sendall(head.encode())

    def step(self):
        """Reads what is due by now."""
        if not self.client:
            self.begin()
        if self.upload:
            try:
                self.upload = self.upload[self.client.send(self.upload) :]
            except BlockingIOError:
                pass
        self.is_there()
        while self.client:
            due = int(self.rate * (time.monotonic() - self.began)) - self.got
            if due < self.lump:
                return
            try:
                piece = self.client.recv(min(due, 65536))
            except BlockingIOError:
                return
            self.got += len(piece)
            self.take(piece)

    def take(self, piece):
        if not piece:
            if self.length != self.body:
                raise OSError(f"FIN after {self.body} of {self.length} bytes")
            self.end()
        elif self.length is None:
            self.head += piece
            head, gap, body = self.head.partition(b"\r\n\r\n")
            if gap:
                if b" 200 " not in head.splitlines()[0]:
                    raise OSError(f"answered {head[:40]!r}")
                self.length, self.body = self.size, len(body)
        else:
            self.body += len(piece)
        if self.length is not None and self.body > self.length:
            raise OSError(f"{self.body} bytes, not {self.length}")
        if self.client and self.how == "kept" and self.body == self.length:
            self.whole += 1
            # Its tail may have been read for longer than an idle connection has.
            if state(self.client) == ESTABLISHED and b"onnection: close" not in self.head:
                self.begin()
            else:
                self.client.close()
                self.client = None

    def end(self):
        self.whole += self.how != "kept"
        self.client.close()
        self.client = None

    def is_there(self):
        """It is still served, or the client's kernel has all of the rest, with a FIN behind it."""
        if self.client is None or (now := state(self.client)) == ESTABLISHED:
            return
        rest = (self.length or self.size) - self.body
        if now != CLOSE_WAIT or unread(self.client) < rest:
            how = "reset" if now == CLOSE else f"in state {now}"
            raise OSError(f"{how} with {rest} bytes unread, of which {unread(self.client)} came")


def all_readers(to):
    for buffer in (None, 4096, 16384):
        for size, rate in ((10_000, 300), (1_000_000, 5_000), (20_000_000, 100_000)):
            yield Reader(to, buffer, "kept", size, rate)
        for size, rate in ((10_000, 300), (100_000, 300), (1_000_000, 5_000), (5_000_000, 20_000)):
            yield Reader(to, buffer, "close", size, rate)
            yield Reader(to, buffer, "ended by the close", min(size, 4_000_000), rate)
        for rate in (300, 1_000, 5_000, 20_000, 100_000):
            yield Reader(to, buffer, "kept", 60_000_000, rate)
        # Every 5 and 10 s.
        yield Reader(to, buffer, "kept", 60_000_000, 300, 1_500)
        yield Reader(to, buffer, "close", 100_000, 400, 4_000)
        yield Reader(to, buffer, "ended by the close", 1_000_000, 5_000, 50_000)


def read_slowly(to, until, report):
    """The process of all honest readers."""
    breaches, readers = [], list(all_readers(to))
    counted, whole, got = len(readers), 0, 0

    def each(what):
        for reader in list(readers):
            try:
                what(reader)
            except OSError as error:
                took = time.monotonic() - reader.began
                breaches.append(f"cut after {took:.0f} s: {reader}: {error}")
                readers.remove(reader)

    parent = os.getppid()
    while time.monotonic() < until and os.getppid() == parent:
        each(Reader.step)
        time.sleep(0.02)
    each(Reader.is_there)
    whole = sum(reader.whole for reader in readers)
    got = sum(reader.body for reader in readers if reader.client)
    report.send((breaches, f"{counted} readers: {whole} responses whole, {got} bytes of others"))
