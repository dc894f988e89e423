#!/usr/bin/env python3
"""A producer that can be killed: producer.py ENDPOINT LOG_FOLDER IMAGE...

Sends small batches of jobs to `classify` and writes down, synced, which ids it is about to send (submitted.log) and which ones the
dispatcher has accepted (accepted.log). An id is N:IMAGE, with N from the longest log on, so that a restarted producer makes new ones; what
was submitted and not accepted is sent again first. Ends when it reads a line on stdin, after everything it has sent is answered.
"""
import os
import select
import sys
import time

import zmq

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../deploy/examples"))
from p4q.v1.dispatch_pb2 import SubmitReply, Verdict  # noqa: E402
from p4q.v1.job_pb2 import Job, JobBatch  # noqa: E402

endpoint, folder, images = sys.argv[1], sys.argv[2], sys.argv[3:]
BATCH, WINDOW, RATE = 8, 8, float(os.environ.get("PRODUCER_RATE", 400))
contents = {os.path.basename(path): open(path, "rb").read() for path in images}
names = sorted(contents)


class Log:
    def __init__(self, path):
        self.file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        text = os.read(self.file, 1 << 30).decode()
        self.lines = [line for line in text.split("\n")[:-1]]
        if not text.endswith("\n") and text:
            os.ftruncate(self.file, len(text.encode()) - len(text.split("\n")[-1].encode()))

    def add(self, lines):
        os.write(self.file, "".join(line + "\n" for line in lines).encode())
        os.fsync(self.file)
        self.lines += lines


submitted, accepted = Log(f"{folder}/submitted.log"), Log(f"{folder}/accepted.log")
known = set(accepted.lines)
again = [line for line in submitted.lines if line not in known]
number = len(submitted.lines)
socket = zmq.Context.instance().socket(zmq.DEALER)
socket.setsockopt(zmq.LINGER, 0)
socket.setsockopt(zmq.IMMEDIATE, 1)
socket.setsockopt(zmq.RECONNECT_IVL, 50)
socket.setsockopt(zmq.RECONNECT_IVL_MAX, 500)
socket.connect(endpoint)
open_batches = {}
counter, stopping, busy, conflicts = 0, False, 0, 0
begin, first = time.monotonic(), number


def send(name, ids):
    batch = JobBatch(batch_id=name, jobs=[Job(id=id) for id in ids])
    try:
        socket.send_multipart(
            [b"MDPC02", b"\x01", b"classify", batch.SerializeToString()] + [contents[id.split(":")[1]] for id in ids], zmq.NOBLOCK)
    except zmq.Again:
        pass
    open_batches[name] = (ids, time.monotonic() + 2.5)


while not (stopping and not open_batches and not again):
    if not stopping and select.select([sys.stdin], [], [], 0)[0]:
        stopping = True
    while len(open_batches) < WINDOW and (again or not stopping and number - first < (time.monotonic() - begin) * RATE):
        if again:
            ids, again = again[:BATCH], again[BATCH:]
        else:
            ids = [f"{number + i}:{names[(number + i) % len(names)]}" for i in range(BATCH)]
            number += BATCH
            submitted.add(ids)
        counter += 1
        send(f"{os.getpid()}.{counter}", ids)
    if socket.poll(20):
        frames = socket.recv_multipart()
        reply = SubmitReply.FromString(frames[3])
        if reply.batch_id in open_batches:
            ids, _ = open_batches.pop(reply.batch_id)
            good, wait = [], 0
            left = set(ids)
            for receipt in reply.jobs:
                if receipt.verdict in (Verdict.VERDICT_ACCEPTED, Verdict.VERDICT_DUPLICATE):
                    good.append(receipt.id)
                    left.discard(receipt.id)
                elif receipt.verdict == Verdict.VERDICT_BUSY:
                    busy += 1
                    wait = max(wait, receipt.retry_after_ms)
                else:
                    conflicts += 1
                    left.discard(receipt.id)
            accepted.add(good)
            if left:
                open_batches[reply.batch_id] = (sorted(left), time.monotonic() + max(wait, 50) / 1000)
    for name, (ids, due) in list(open_batches.items()):
        if due < time.monotonic():
            send(name, ids)
if conflicts:
    sys.exit(f"{conflicts} jobs were refused")
