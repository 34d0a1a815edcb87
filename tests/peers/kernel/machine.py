"""What the kernel and the server have in memory for the server's connections."""

import resource
import socket
import sys

from client import FIN_WAIT2, LISTEN, TIME_WAIT, connect


class Machine:
    """The figures, and the largest of each so far."""

    def __init__(self, server, admin, pid):
        self.port, self.admin, self.pid = server[1], admin, pid
        self.most = {}

    def rows(self):
        """The server's ends: peer's address, state, send queue."""
        with open("/proc/net/tcp", encoding="ascii") as table:
            for row in table.readlines()[1:]:
                _, own, peer, in_state, queues = row.split()[:5]
                in_state, queue = int(in_state, 16), int(queues.split(":")[0], 16)
                if int(own.split(":")[1], 16) == self.port and in_state != LISTEN:
                    peer = bytes.fromhex(peer.split(":")[0])
                    if sys.byteorder == "little":
                        peer = peer[::-1]
                    yield socket.inet_ntoa(peer), in_state, queue

    def left(self, sources):
        """Those of these clients in which more than time has to pass."""
        return [
            (source, in_state, queue)
            for source, in_state, queue in self.rows()
            if source in sources and (in_state not in (FIN_WAIT2, TIME_WAIT) or queue)
        ]

    def phases(self):
        """The ledger: how many connections are open in each phase."""
        with connect(self.admin, "127.0.0.1") as client:
            client.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            said = b""
            while piece := client.recv(65536):
                said += piece
        phases = {}
        for line in said.decode().splitlines():
            name, _, number = line.rpartition(" ")
            if name.startswith("hangup_connections_open{"):
                phases[name.split('"')[1]] = int(number)
        return phases

    def look(self):
        """The figures of now, in bytes and connections."""
        with open("/proc/net/sockstat", encoding="ascii") as stat:
            memory = next(line for line in stat if line.startswith("TCP:")).split()
        with open(f"/proc/{self.pid}/status", encoding="ascii") as status:
            rss = next(line for line in status if line.startswith("VmRSS:")).split()
        rows, phases = list(self.rows()), self.phases()
        seen = {
            "queues": sum(queue for _, _, queue in rows),
            "orphans": sum(1 for _, in_state, _ in rows if in_state in (4, 9, 11)),
            "memory": int(memory[memory.index("mem") + 1]) * resource.getpagesize(),
            "rss": int(rss[1]) * 1024,
            "open": sum(phases.values()),
            "kernel": phases.get("kernel", 0),
        }
        for name, number in seen.items():
            self.most[name] = max(self.most.get(name, 0), number)
        return seen


def show(when, seen):
    mb = {name: f"{seen[name] / 1e6:.1f} MB" for name in ("queues", "memory", "rss")}
    print(
        f"{when}: send queues {mb['queues']}, TCP memory {mb['memory']}, RSS {mb['rss']}, "
        f"open {seen['open']}, of these in phase kernel {seen['kernel']}",
        flush=True,
    )
