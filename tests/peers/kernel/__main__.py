"""Slow readers, clients that never read, and a healthy client, against one server on loopback.

    python3 tests/peers/kernel SERVER ADMIN PID SECONDS

SERVER and ADMIN are HOST:PORT on loopback, PID is the server's process. At the same time:

readers  Honest downloads from 10 kB to 60 MB at 300 B/s to 100 kB/s, with receive buffers of
         several sizes, steady and in lumps, kept alive, closed, and ended by the close. Every byte
         must come, and behind it a FIN. What does not end in the time must be served at the end.
waves    2,000 clients that ask for much and never read, 200 at a time. Each must be ended by the
         server's clock, neither early nor late, and then the kernel must have nothing of it.
healthy  A GET on a kept connection every 20 ms. Its p99 during the waves must be below 3 times that
         of the first 20 s, in which it is alone. A p99 below 2 ms is taken for 2 ms, because other
         processes of the machine decide there, and a p99 below that of an echo at the same time
         for that one.

Prints the figures, then a line for each breach. The exit status is 0 if there is none.
"""

import multiprocessing
import socket
import sys
import time

from client import TIMEOUT_S
from healthy import ask_often, echo, latency
from machine import Machine, show
from readers import read_slowly
from waves import storm

REST_S = 20
# The server may have connections so long behind the last of its clients.
END_S = 30
# All connections' send queues: Limits::queued_bytes.
QUEUES_MAX = 256 << 20
# How much more TCP and the server may have than at the start: at any time, and at the end.
MEMORY_MAX, MEMORY_LEFT = 384 << 20, 32 << 20
RSS_MAX, RSS_LEFT = 128 << 20, 64 << 20


def main():
    server, admin, pid, seconds = sys.argv[1:]
    server, admin = (
        (host, int(port)) for host, port in (at.rsplit(":", 1) for at in (server, admin))
    )
    machine, breaches = Machine(server, admin, int(pid)), []
    begin = time.monotonic()
    start, until = begin + REST_S, begin + float(seconds)

    def run(task, *more):
        """A process of its own, so that clients do not wait for each other."""
        told, tells = multiprocessing.Pipe(duplex=False)
        args = (server, until, tells, *more)
        process = multiprocessing.Process(target=task, args=args, daemon=True)
        process.start()
        tells.close()
        return process, told

    with socket.create_server(("127.0.0.1", 0)) as listener:
        multiprocessing.Process(target=echo, args=(listener,), daemon=True).start()
        healthy = run(ask_often, listener.getsockname())
    first = machine.look()
    show("at the start", first)
    time.sleep(max(0, start - time.monotonic()))
    slow = run(read_slowly)
    on, count = storm(server, machine, until, breaches)
    while time.monotonic() < until:
        machine.look()
        time.sleep(0.5)
    results = []
    for process, told in (slow, healthy):
        if not told.poll(TIMEOUT_S):
            sys.exit("kernel: the clients do not end")
        results.append(told.recv())
        process.join()
    (more, readers), (also, taken) = results
    breaches += more + also
    print(readers)
    print(f"{count} never-readers in {len(on)} waves")
    latency(taken, start, on, breaches)

    show("at most", machine.most)
    end = time.monotonic() + END_S
    while (last := machine.look())["open"] or last["queues"]:
        if time.monotonic() > end:
            break
        time.sleep(0.5)
    show("at the end", last)
    most = machine.most
    for what, number, bound in (
        ("send queues", most["queues"], QUEUES_MAX),
        ("TCP memory", most["memory"], first["memory"] + MEMORY_MAX),
        ("RSS", most["rss"], first["rss"] + RSS_MAX),
        ("TCP memory at the end", last["memory"], first["memory"] + MEMORY_LEFT),
        ("RSS at the end", last["rss"], first["rss"] + RSS_LEFT),
        ("send queues at the end", last["queues"], 0),
        ("open connections at the end", last["open"], 0),
    ):
        if number > bound:
            breaches.append(f"{what}: {number}, more than {bound}")
    if not most["kernel"]:
        breaches.append("the ledger never had a connection in phase kernel")
    for breach in breaches:
        print(f"BREACH {breach}")
    sys.exit(1 if breaches else 0)


main()
