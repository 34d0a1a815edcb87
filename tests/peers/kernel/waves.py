"""Clients that never read, many at a time: each is ended by its clock, and nothing of it stays."""

import time

from client import CLOSE, ESTABLISHED, connect, state, unread
from machine import show

WAVES = 10
# How many of each kind in a wave, and of those whose larger buffers pay for minutes.
KINDS = {"1.1": 130, "1.0": 30, "closed": 30, "goes itself": 10}
LARGE = 4
SMALL_BUFFER, LARGE_BUFFER = 4096, 32768
# What the server promises (Limits::default): the response's rate, its grace, and its gap.
RATE, GRACE_S, GAP_S = 240, 5, 1200
# A busy machine may be so late.
EARLY_S, LATE_S = 1, 10
# A wave takes no longer than this, nor those with larger buffers.
WAVE_S, LARGE_S = 40, 300
# After a close the kernel may keep something so long.
GONE_S = 5


class Never:
    """A client that asks for much and never reads."""

    def __init__(self, to, source, kind):
        self.kind, self.gone = kind, None
        self.client = connect(to, source, LARGE_BUFFER if kind == "larger buffer" else SMALL_BUFFER)
        size, version, close = 1_000_000_000, "1.1", ""
        if kind == "closed":
            # All of it, and the FIN, fits into the server's send queue.
            size, close = 100_000, "Connection: close\r\n"
        elif kind == "1.0":
            version = "1.0"
        self.began = time.monotonic()
        self.client.sendall(f"GET /big/{size} HTTP/{version}\r\nHost: a\r\n{close}\r\n".encode())

    def look(self):
        """Whether it is over; raises OSError if it came at another time than it should."""
        took = time.monotonic() - self.began
        if self.kind == "goes itself":
            if took > 3:
                # With bytes unread: a reset.
                self.client.close()
                self.gone = time.monotonic()
            return self.gone is not None
        taken = unread(self.client)
        # What its kernel has taken pays for its time.
        due = min(GRACE_S + taken / RATE, GAP_S)
        over = state(self.client) != ESTABLISHED
        if over:
            self.gone = time.monotonic()
            if state(self.client) != CLOSE:
                raise OSError(f"{self.kind}: ended in state {state(self.client)}, not by a reset")
            # Of the gap, a sixteenth goes to finding out what was acknowledged.
            if took < min(due, GAP_S * 15 / 16) - EARLY_S:
                raise OSError(f"{self.kind}: cut after {took:.1f} s, {taken} bytes pay {due:.1f} s")
        elif took > due + LATE_S:
            self.gone = time.monotonic()
            raise OSError(f"{self.kind}: kept {took:.1f} s, {taken} bytes pay for {due:.1f} s")
        return over


def storm(to, machine, until, breaches):
    """All waves. Returns when each was on, and how many clients there were."""
    start, on, count, large = time.monotonic(), [], 0, []
    # The last wave and its clients with larger buffers need this much.
    every = max(0, (until - start - LARGE_S) / (WAVES - 1))

    def ended(clients):
        for client in clients:
            if client.gone is None:
                try:
                    client.look()
                except OSError as error:
                    breaches.append(f"never-reader, {error}")
        return all(client.gone is not None for client in clients)

    for number in range(WAVES):
        if number and time.monotonic() + WAVE_S > until:
            break
        while time.monotonic() < start + number * every:
            ended(large)
            machine.look()
            time.sleep(0.5)
        begin, source = time.monotonic(), f"127.0.2.{number + 1}"
        wave = [Never(to, source, kind) for kind, many in KINDS.items() for _ in range(many)]
        count += len(wave)
        if begin + LARGE_S <= until:
            large += [Never(to, "127.0.3.1", "larger buffer") for _ in range(LARGE)]
        while not ended(wave):
            ended(large)
            machine.look()
            time.sleep(0.25)
        on.append((begin, time.monotonic()))
        nothing_stays(machine, [source], f"wave {number + 1}", breaches)
        took = on[-1][1] - begin
        show(f"wave {number + 1} of {len(wave)}, over after {took:.1f} s", machine.look())
        for client in wave:
            client.client.close()
    while not ended(large):
        machine.look()
        time.sleep(0.5)
    nothing_stays(machine, ["127.0.3.1"], "the clients with larger buffers", breaches)
    return on, count + len(large)


def nothing_stays(machine, sources, whose, breaches):
    """Behind the end of these clients the kernel soon has nothing of them."""
    until = time.monotonic() + GONE_S
    while left := machine.left(sources):
        if time.monotonic() > until:
            queue = sum(queue for _, _, queue in left)
            breaches.append(f"{whose}: {len(left)} connections stay in the kernel, {queue} bytes")
            return
        time.sleep(0.1)
