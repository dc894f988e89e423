#!/usr/bin/env python3
"""Brokers that are not p4q's, for p4q's worker and client to serve and ask.

brokers.py majortomo|rfc7|rfc18    runs a broker, and prints its endpoint: majortomo's from PyPI, or one written here by the letter of the RFC
brokers.py client ENDPOINT IMAGE   asks `classify` with majortomo's client; prints the result's id and its best label
"""
import os
import socket
import sys
from collections import deque

import zmq

kind = sys.argv[1]


def free_endpoint():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{probe.getsockname()[1]}"


def by_the_letter(version, endpoint):
    """One service; workers are known until they disconnect, and get a heartbeat a second."""
    router = zmq.Context.instance().socket(zmq.ROUTER)
    router.bind(endpoint)
    client_header, worker_header = b"MDPC0%d" % version, b"MDPW0%d" % version
    front = [b""] if version == 1 else []
    final, heartbeat, disconnect = (b"\x03", b"\x04", b"\x05") if version == 1 else (b"\x04", b"\x05", b"\x06")
    idle, known, requests = deque(), {}, deque()
    while True:
        if router.poll(1000):
            sender, *frames = router.recv_multipart()
            assert frames[: len(front)] == front, frames[:2]
            header, *rest = frames[len(front):]
            if header == client_header:
                if version == 2:
                    assert rest.pop(0) == b"\x01"
                requests.append((sender, rest[0], rest[1:]))
            elif header == worker_header and rest[0] == b"\x01":
                assert len(rest) == 2, "READY has a frame that the RFC doesn't know"
                known[sender] = rest[1]
                idle.append(sender)
            elif header == worker_header and rest[0] == final:
                reply = [b"\x03"] if version == 2 else []
                router.send_multipart([rest[1], *front, client_header, *reply, known[sender], *rest[3:]])
                idle.append(sender)
            elif header == worker_header and rest[0] == heartbeat:
                assert len(rest) == 1, "HEARTBEAT has a frame that the RFC doesn't know"
            elif header == worker_header and rest[0] == disconnect:
                known.pop(sender, None)
                idle = deque(worker for worker in idle if worker != sender)
            else:
                sys.exit(f"unexpected message {frames[:4]}")
        else:
            for worker in idle:
                router.send_multipart([worker, *front, worker_header, heartbeat])
        while idle and requests:
            client, _, body = requests.popleft()
            router.send_multipart([idle.popleft(), *front, worker_header, b"\x02", client, b"", *body])


def ask(endpoint, path):
    from majortomo.client import Client

    sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "deploy", "examples"))
    from p4q.v1 import job_pb2, result_pb2

    batch = job_pb2.JobBatch(batch_id="theirs", jobs=[job_pb2.Job(id=os.path.basename(path))])
    with open(path, "rb") as file, Client(endpoint) as client:
        client.send("classify", batch.SerializeToString(), file.read())
        for frame in client.recv_all_as_list(timeout=60):
            for result in result_pb2.ResultBatch.FromString(frame).results:
                print(result.id, result.scored.predictions[0].label)


if kind == "client":
    ask(*sys.argv[2:])
else:
    endpoint = free_endpoint()
    print(endpoint, flush=True)
    if kind == "majortomo":
        from majortomo.broker import Broker

        Broker(bind=endpoint).run()
    else:
        by_the_letter(1 if kind == "rfc7" else 2, endpoint)
