#!/usr/bin/env python3
"""Add a group's results to a file, each once: dispatch_sink.py tcp://127.0.0.1:5555 GROUP FILE [COUNT]

A sink is a Majordomo 0.2 worker of results/GROUP: READY, then for each REQUEST a FINAL that says what is stored durably. Repeats, which
come when an acknowledgement was lost, are dropped by their sequence number. Stops after at least COUNT results: a message's are
taken whole. Needs pyzmq and protobuf.
"""
import json
import os
import sys
import time

import zmq

from p4q.v1.dispatch_pb2 import Acknowledgement, PeerInfo
from p4q.v1.result_pb2 import LearningEffect, ResultBatch

if len(sys.argv) < 4:
    sys.exit(__doc__)

endpoint, group, path = sys.argv[1:4]
left = int(sys.argv[4]) if len(sys.argv) > 4 else None
WORKER, READY, REQUEST, FINAL, HEARTBEAT, DISCONNECT = b"MDPW02", b"\x01", b"\x02", b"\x04", b"\x05", b"\x06"
out = open(path, "a+b")
out.seek(0)
lines = out.read().split(b"\n")
out.truncate(sum(len(line) + 1 for line in lines[:-1]))  # a line that was torn by a crash comes again
seen = {json.loads(line)["seq"] for line in lines[:-1]}
context = zmq.Context.instance()


def connect():
    socket = context.socket(zmq.DEALER)
    socket.setsockopt(zmq.LINGER, 2000)
    socket.connect(endpoint)
    socket.send_multipart([WORKER, READY, b"results/" + group.encode(), PeerInfo(worker=f"sink-{os.getpid()}").SerializeToString()])
    return socket


socket, heard, beat = connect(), time.monotonic(), time.monotonic()
while left is None or left > 0:
    now = time.monotonic()
    if now - beat >= 1:
        socket.send_multipart([WORKER, HEARTBEAT])
        beat = now
    if now - heard > 3:
        socket.close()
        socket, heard = connect(), now
    if not socket.poll(250):
        continue
    frames, heard = socket.recv_multipart(), time.monotonic()
    if frames[1] == DISCONNECT:
        time.sleep(0.5)
        socket.close()
        socket = connect()
    if frames[1] != REQUEST:
        continue
    batches = [ResultBatch.FromString(frame) for frame in frames[4:]]
    for result in (result for batch in batches for result in batch.results if result.sequence not in seen):
        seen.add(result.sequence)
        line = {"id": result.id, "seq": result.sequence, "metadata": dict(result.metadata)}
        if result.WhichOneof("outcome") == "scored":
            line["predictions"] = [{"label": p.label, "probability": p.probability} for p in result.scored.predictions]
        elif result.WhichOneof("outcome") == "learned":
            line["learned"] = LearningEffect.Name(result.learned.effect).removeprefix("LEARNING_EFFECT_").lower()
        else:
            line["error"] = result.error.code
        out.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
        left = None if left is None else left - 1
    out.flush()
    os.fsync(out.fileno())
    # Only now, since what is acknowledged never comes again.
    sequences = [result.sequence for batch in batches for result in batch.results]
    generation = batches[0].generation
    done = Acknowledgement(generation=generation, through=max(sequences)) if generation else Acknowledgement(sequences=sequences)
    socket.send_multipart([WORKER, FINAL, frames[2], b"", done.SerializeToString()])
socket.send_multipart([WORKER, DISCONNECT])
