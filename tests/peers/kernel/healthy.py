"""A client that asks often, how long its answers take, and how long they may take.

After each request it asks a process that only echoes: that delay is the machine's, not the
server's.
"""

import gc
import os
import socket
import time

from client import connect

PERIOD_S = 0.02
P99_FLOOR_S = 0.002
P99_TIMES = 3


def echo(listener):
    """The process that is asked for comparison, until its client goes."""
    client, _ = listener.accept()
    while asked := client.recv(64):
        client.sendall(asked)


def ask_often(to, until, report, compared):
    """The healthy client: when it asked, how long the answer took, and how long the echo took."""
    control = connect(compared, "127.0.0.1")
    gc.disable()
    breaches, taken, client = [], [], None
    request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    due = time.monotonic()
    parent = os.getppid()
    while (now := time.monotonic()) < until and os.getppid() == parent:
        try:
            if client is None:
                client = connect(to, "127.0.0.9")
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            begin = time.monotonic()
            client.sendall(request)
            said = client.recv(4096)
            while said and not said.endswith(b"\r\n\r\nok"):
                more = client.recv(4096)
                said += more
                if not more:
                    break
            took = time.monotonic() - begin
            control.sendall(b"x")
            control.recv(64)
            taken.append((begin, took, time.monotonic() - begin - took))
            if not said.startswith(b"HTTP/1.1 200") or not said.endswith(b"ok"):
                breaches.append(f"the healthy client is answered {said[:60]!r}")
            if b"onnection: close" in said:
                client.close()
                client = None
        except OSError as error:
            breaches.append(f"the healthy client, {now:.0f}: {error!r}")
            client = None
        due = max(due + PERIOD_S, time.monotonic())
        time.sleep(max(0, due - time.monotonic()))
    report.send((breaches[:10], taken))


def p99(taken):
    return sorted(taken)[len(taken) * 99 // 100]


def latency(taken, start, on, breaches):
    rest = [took for at, took, _ in taken if at < start]
    waves = [each for each in taken if any(a <= each[0] <= b for a, b in on)]
    during, echoes = [took for _, took, _ in waves], [echoed for _, _, echoed in waves]
    between = [
        took for at, took, _ in taken if at >= start and not any(a <= at <= b for a, b in on)
    ]
    most = P99_TIMES * max(p99(rest), p99(echoes), P99_FLOOR_S)
    print(f"healthy: p99 {p99(rest) * 1e3:.2f} ms at rest ({len(rest)} requests)")
    if between:
        print(f"healthy: p99 {p99(between) * 1e3:.2f} ms among slow readers ({len(between)})")
    print(f"healthy: p99 {p99(echoes) * 1e3:.2f} ms of the echo in the waves")
    print(
        f"healthy: p99 {p99(during) * 1e3:.2f} ms in the waves ({len(during)}), "
        f"at most {most * 1e3:.2f} ms are allowed; the longest was {max(during) * 1e3:.0f} ms"
    )
    if p99(during) > most:
        breaches.append(f"healthy: p99 {p99(during) * 1e3:.2f} ms, more than {most * 1e3:.2f} ms")
