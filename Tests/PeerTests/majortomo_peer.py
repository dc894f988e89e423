#!/usr/bin/env python3
"""Runs majortomo's client and worker (Majordomo 0.2, in its own framing) and hand-written 0.1 peers against a dispatcher.

majortomo_peer.py ENDPOINT: echoes bodies of 1 byte to 8 MB through a service that is not journalled, in every combination of client and
worker; prints a line for each and exits with 1 if one came back changed.
"""
import hashlib
import sys
import threading
import time

import zmq
from majortomo.client import Client
from majortomo.worker import Worker

endpoint = sys.argv[1]
context = zmq.Context.instance()
SIZES = [1, 100, 65537, 8 << 20]


def body(size):
    seed = hashlib.sha256(str(size).encode()).digest()
    return (seed * (size // 32 + 1))[:size]


class MajortomoWorker(threading.Thread):
    def __init__(self, service):
        super().__init__(daemon=True)
        self.service = service

    def run(self):
        worker = Worker(endpoint, self.service, heartbeat_interval=0.5)
        worker.connect()
        while True:
            client, frames = worker.wait_for_request()
            worker.send_reply_partial(client, [b"part"])
            worker.send_reply_final(client, frames)


class OldWorker(threading.Thread):
    """RFC 7, as the guide's mdwrkapi does it."""

    def __init__(self, service):
        super().__init__(daemon=True)
        self.service = service

    def run(self):
        socket = context.socket(zmq.DEALER)
        socket.connect(endpoint)
        socket.send_multipart([b"", b"MDPW01", b"\x01", self.service.encode()])
        while True:
            if not socket.poll(500):
                socket.send_multipart([b"", b"MDPW01", b"\x04"])
                continue
            frames = socket.recv_multipart()
            assert frames[0] == b"" and frames[1] == b"MDPW01", frames[:2]
            if frames[2] == b"\x02":
                socket.send_multipart([b"", b"MDPW01", b"\x03", frames[3], b""] + frames[5:])


class NewWorker(threading.Thread):
    """RFC 18 to the letter, without a delimiter."""

    def __init__(self, service):
        super().__init__(daemon=True)
        self.service = service

    def run(self):
        socket = context.socket(zmq.DEALER)
        socket.connect(endpoint)
        socket.send_multipart([b"MDPW02", b"\x01", self.service.encode()])
        while True:
            if not socket.poll(500):
                socket.send_multipart([b"MDPW02", b"\x05"])
                continue
            frames = socket.recv_multipart()
            assert frames[0] == b"MDPW02", frames[:2]
            if frames[1] == b"\x02":
                socket.send_multipart([b"MDPW02", b"\x04", frames[2], b""] + frames[4:])


def majortomo_client(service, payload):
    with Client(endpoint) as client:
        client.send(service, payload, b"second")
        return [part for part in client.recv_all_as_list(timeout=20) if part != b"part"]


def old_client(service, payload):
    with context.socket(zmq.REQ) as socket:
        socket.connect(endpoint)
        socket.send_multipart([b"MDPC01", service.encode(), payload, b"second"])
        if not socket.poll(20000):
            return None
        frames = socket.recv_multipart()
        return frames[2:] if frames[:2] == [b"MDPC01", service.encode()] else frames


def new_client(service, payload):
    with context.socket(zmq.DEALER) as socket:
        socket.connect(endpoint)
        socket.send_multipart([b"MDPC02", b"\x01", service.encode(), payload, b"second"])
        while socket.poll(20000):
            frames = socket.recv_multipart()
            if frames[:3] == [b"MDPC02", b"\x03", service.encode()]:
                return frames[3:]
        return None


failures = 0
for worker_class, name in [(MajortomoWorker, "majortomo"), (OldWorker, "rfc7"), (NewWorker, "rfc18")]:
    service = f"echo-{name}"
    if old_client("mmi.service", b"echo-nobody")[0] != b"404":
        sys.exit("mmi.service says that a service is served which nobody serves")
    worker_class(service).start()
    while True:
        with context.socket(zmq.REQ) as socket:
            socket.connect(endpoint)
            socket.send_multipart([b"MDPC01", b"mmi.service", service.encode()])
            if socket.recv_multipart()[2] == b"200":
                break
        time.sleep(0.1)
    for client, peer in [(majortomo_client, "majortomo"), (old_client, "rfc7"), (new_client, "rfc18")]:
        good = all(client(service, body(size)) == [body(size), b"second"] for size in SIZES)
        failures += not good
        print(f"client {peer}, worker {name}: {'ok' if good else 'CHANGED'}", flush=True)
sys.exit(1 if failures else 0)
