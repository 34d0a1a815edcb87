"""A client that asks often, how long its answers take, and how long they may take."""

import gc
import os
import socket
import time

from client import connect

PERIOD_S = 0.02
P99_FLOOR_S = 0.002
P99_TIMES = 3


def ask_often(to, until, report):
    """The process of the healthy client: when it asked, and how long each answer took."""
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
            taken.append((begin, time.monotonic() - begin))
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
    rest = [took for at, took in taken if at < start]
    during = [took for at, took in taken if any(a <= at <= b for a, b in on)]
    between = [took for at, took in taken if at >= start and not any(a <= at <= b for a, b in on)]
    most = P99_TIMES * max(p99(rest), P99_FLOOR_S)
    print(f"healthy: p99 {p99(rest) * 1e3:.2f} ms at rest ({len(rest)} requests)")
    if between:
        print(f"healthy: p99 {p99(between) * 1e3:.2f} ms among slow readers ({len(between)})")
    print(
        f"healthy: p99 {p99(during) * 1e3:.2f} ms in the waves ({len(during)}), "
        f"at most {most * 1e3:.2f} ms are allowed; the longest was {max(during) * 1e3:.0f} ms"
    )
    if p99(during) > most:
        breaches.append(f"healthy: p99 {p99(during) * 1e3:.2f} ms, more than {most * 1e3:.2f} ms")
