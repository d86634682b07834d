#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""A client of NFSv4.1 for scripts: nfs4.py FILE, in the root of the export.

Opens FILE on this machine's server, says "opened", and then obeys its input, a
line at a time:

    layout   ask for a layout of the first 64 KiB to read
    change   ask for the change attribute
    renew    tell the server that we are there

Says for each what the server answered: its status, and what was asked for. A
recall finds no back channel, so that the server takes the layout away.
"""
import os
import socket
import struct
import sys
import time

SEQUENCE, PUTFH, PUTROOTFH, LOOKUP = 53, 22, 24, 15
GETFH, GETATTR, OPEN = 10, 9, 18
EXCHANGE_ID, CREATE_SESSION, RECLAIM_COMPLETE, LAYOUTGET = 42, 43, 58, 50
AUTH_SYS, BLOCK_VOLUME, READ, BOTH, WANT_NO_DELEG = 1, 3, 1, 3, 0x400
NFS4ERR_GRACE = 10013
SEQUENCE_RESULT = 8 + 16 + 4 * 5


def words(*values):
    return struct.pack(">%dI" % len(values), *values)


def longs(*values):
    return struct.pack(">%dQ" % len(values), *values)


def opaque(data):
    return words(len(data)) + data + b"\0" * (-len(data) % 4)


class Client:
    def __init__(self):
        self.socket = socket.create_connection(("127.0.0.1", 2049))
        self.xid = self.slot = 0
        self.start_session()

    def receive(self, size):
        data = b""
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            if not more:
                sys.exit("the server has closed the connection")
            data += more
        return data

    def compound(self, *ops):
        """Returns status and results, without tag and count."""
        self.xid += 1
        credentials = words(0) + opaque(b"client") + words(0, 0, 0)
        message = words(self.xid, 0, 2, 100003, 4, 1)
        message += words(AUTH_SYS) + opaque(credentials) + words(0, 0)
        message += opaque(b"") + words(1, len(ops)) + b"".join(ops)
        self.socket.sendall(words(0x80000000 | len(message)) + message)
        while True:
            size, = struct.unpack(">I", self.receive(4))
            reply = self.receive(size & 0x7fffffff)
            xid, kind = struct.unpack(">II", reply[:8])
            if (xid, kind) == (self.xid, 1):
                break
        verifier, = struct.unpack(">I", reply[16:20])
        at = 20 + verifier
        accepted, status, tag = struct.unpack(">III", reply[at:at + 12])
        if accepted:
            sys.exit("the server does not accept calls: %d" % accepted)
        return status, reply[at + 16 + (tag + 3) // 4 * 4:]

    def start_session(self):
        status, result = self.compound(
            words(EXCHANGE_ID) + os.urandom(8) +
            opaque(b"client %d" % os.getpid()) + words(0, 0, 0))
        if status:
            sys.exit("EXCHANGE_ID: %d" % status)
        self.client, sequence = struct.unpack(">QI", result[8:20])
        channel = words(0, 65536, 65536, 4096, 16, 8, 0)
        status, result = self.compound(
            words(CREATE_SESSION) + longs(self.client) + words(sequence, 0) +
            channel + channel + words(0x40000000, 1, 0))
        if status:
            sys.exit("CREATE_SESSION: %d" % status)
        self.session = result[8:24]
        self.in_session(words(RECLAIM_COMPLETE, 0))

    def in_session(self, *ops):
        """Returns status and results, without that of SEQUENCE."""
        self.slot += 1
        status, result = self.compound(
            words(SEQUENCE) + self.session + words(self.slot, 0, 0, 0), *ops)
        return status, result[SEQUENCE_RESULT:]

    def open(self, name):
        call = words(OPEN, 0, BOTH | WANT_NO_DELEG, 0) + longs(self.client)
        call += opaque(b"owner") + words(0, 0) + opaque(name)
        status = NFS4ERR_GRACE
        while status == NFS4ERR_GRACE:
            status, result = self.in_session(words(PUTROOTFH), call)
            if status == NFS4ERR_GRACE:
                time.sleep(0.5)
        if status:
            sys.exit("OPEN: %d" % status)
        self.state = result[16:32]
        status, result = self.in_session(
            words(PUTROOTFH), words(LOOKUP) + opaque(name), words(GETFH))
        size, = struct.unpack(">I", result[24:28])
        self.handle = words(PUTFH) + opaque(result[28:28 + size])

    def layout(self):
        status, _ = self.in_session(
            self.handle, words(LAYOUTGET, 0, BLOCK_VOLUME, READ) +
            longs(0, 65536, 4096) + self.state + words(65536))
        return status

    def change(self):
        status, result = self.in_session(self.handle, words(GETATTR, 1, 1 << 3))
        if status:
            return status
        count, = struct.unpack(">I", result[16:20])
        at = 20 + 4 * count + 4
        return "0 %d" % struct.unpack(">Q", result[at:at + 8])

    def renew(self):
        return self.in_session()[0]


def main():
    client = Client()
    client.open(sys.argv[1].encode())
    print("opened", flush=True)
    for line in sys.stdin:
        print(getattr(client, line.strip())(), flush=True)


main()
