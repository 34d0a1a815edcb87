"""A crowd of idle keep-alive clients, then a healthy client of another address, and the admin page.

    crowd.py SERVER ADMIN COUNT

SERVER and ADMIN are HOST:PORT on loopback. COUNT connections from addresses of 127.0.1.0/24, 3,900 from each,
send one request each and stay. Prints one word a line: how the healthy client was answered three times, then
the admin page, then `open N`, the number of open connections on it.
"""

import re
import resource
import socket
import sys

PER_ADDRESS = 3900
REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
TIMEOUT_S = 10


def connect(source, to):
    client = socket.socket()
    client.settimeout(TIMEOUT_S)
    client.bind((source, 0))
    client.connect(to)
    return client


def answer(client, request):
    """The status, or what went wrong, and the body up to the close."""
    try:
        client.sendall(request)
        said = b""
        while more := client.recv(65536):
            said += more
    except OSError as error:
        return type(error).__name__, b""
    head, _, body = said.partition(b"\r\n\r\n")
    return head.split(b" ")[1].decode() if head else "nothing", body


def main():
    server, admin, count = sys.argv[1:]
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard < int(count) + 50:
        sys.exit(f"crowd.py: the hard limit of open files is {hard}, and {count} clients need more")
    server, admin = (
        (host, int(port)) for host, port in (at.rsplit(":", 1) for at in (server, admin))
    )
    crowd = []
    for number in range(int(count)):
        client = connect(f"127.0.1.{1 + number // PER_ADDRESS}", server)
        client.sendall(REQUEST)
        crowd.append(client)
    last = REQUEST.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    for _ in range(3):
        print("healthy", answer(connect("127.0.0.56", server), last)[0])
    page = b"GET /debug/connections HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    status, body = answer(connect("127.0.0.1", admin), page)
    print("admin", status)
    count = re.search(rb"(\d+) open\b", body)
    print("open", count[1].decode() if count else "unknown")


main()
