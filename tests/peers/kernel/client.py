"""A TCP client on loopback, and what its own kernel says of it."""

import fcntl
import socket
import struct
import termios

TIMEOUT_S = 20
ESTABLISHED, FIN_WAIT2, TIME_WAIT, CLOSE, CLOSE_WAIT, LISTEN = 1, 5, 6, 7, 8, 10


def connect(to, source, buffer=None):
    client = socket.socket()
    if buffer:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    client.settimeout(TIMEOUT_S)
    client.bind((source, 0))
    client.connect(to)
    return client


def state(client):
    return client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]


def unread(client):
    """Bytes that the client's kernel has acknowledged and nobody has read."""
    return struct.unpack("i", fcntl.ioctl(client, termios.FIONREAD, bytes(4)))[0]
