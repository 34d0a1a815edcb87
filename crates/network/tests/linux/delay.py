#!/usr/bin/env python3
"""Runs a command in the current network namespace, in which 10.9.0.0/16 is this host itself, but far away.

A TUN interface takes what is sent there. This script swaps source and destination of each packet and gives it back
after DELAY: so a connection to 10.9.x.y is one to this host, from 10.9.x.y, whose segments travel that long. Both checksums
stay right, since they are sums. Use it in a namespace of its own: unshare --map-root-user --net delay.py COMMAND ...
"""
import fcntl, heapq, os, struct, subprocess, sys, threading, time

DELAY = 0.192  # As DELAY in script.rs.
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000

tun = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH", b"delay", IFF_TUN | IFF_NO_PI))
for command in (
    "ip link set lo up",
    "ip addr add 10.9.0.1/16 dev delay",
    # What is written at once arrives at once.
    "ip link set delay up txqueuelen 10000 mtu 60000",
    # Small segments must not wait for each other, nor be sent twice by a tail loss probe.
    "sysctl -qw net.ipv4.tcp_autocorking=0 net.ipv4.tcp_early_retrans=0",
):
    subprocess.check_call(command.split())

under_way, changed, count = [], threading.Condition(), 0


def take():
    global count
    while True:
        packet = os.read(tun, 65536)
        if packet[0] >> 4 != 4 or packet[9] != 6:
            continue
        back = packet[:12] + packet[16:20] + packet[12:16] + packet[20:]
        with changed:
            count += 1
            heapq.heappush(under_way, (time.monotonic() + DELAY, count, back))
            changed.notify()


def give():
    while True:
        with changed:
            while not under_way:
                changed.wait()
            wait = under_way[0][0] - time.monotonic()
            if wait > 0:
                changed.wait(wait)
                continue
            packet = heapq.heappop(under_way)[2]
        os.write(tun, packet)


for work in (take, give):
    threading.Thread(target=work, daemon=True).start()
sys.exit(subprocess.call(sys.argv[1:]))
