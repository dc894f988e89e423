#!/usr/bin/env python3
"""Hand image files to a p4q dispatcher, and stop when it has them all: dispatch_producer.py tcp://127.0.0.1:5555 IMAGE...

A request is Majordomo 0.2: MDPC02, 1, the service, a JobBatch, and one frame an image. What is not answered is sent again with the same
ids, which is safe: an id is accepted once. Needs pyzmq and protobuf (requirements.txt).
"""
import hashlib
import sys
import time

import zmq

from p4q.v1.dispatch_pb2 import SubmitReply, Verdict
from p4q.v1.job_pb2 import Job, JobBatch

if len(sys.argv) < 3:
    sys.exit(__doc__)

socket = zmq.Context.instance().socket(zmq.DEALER)
socket.setsockopt(zmq.IMMEDIATE, 1)  # wait for the dispatcher instead of queueing for one that may never come
socket.connect(sys.argv[1])
failed = 0
for path in sys.argv[2:]:
    image = open(path, "rb").read()
    # Made of path and content: the same file is the same job, however often this is run.
    id = hashlib.sha256(path.encode() + b"\0" + image).hexdigest()
    envelope = JobBatch(batch_id=id, jobs=[Job(id=id, metadata={"path": path})]).SerializeToString()
    silence, done = 2.5, False
    while not done:
        socket.send_multipart([b"MDPC02", b"\x01", b"classify", envelope, image])
        end = time.monotonic() + silence
        while not done and socket.poll(max(0, int((end - time.monotonic()) * 1000))):
            reply = SubmitReply.FromString(socket.recv_multipart()[3])
            if reply.HasField("error"):
                sys.exit(f"{path}: {reply.error.message}")
            if reply.batch_id != id:
                continue
            receipt = reply.jobs[0]
            if receipt.verdict == Verdict.VERDICT_BUSY:
                time.sleep(receipt.retry_after_ms / 1000)
                break
            done = True
            verdict = Verdict.Name(receipt.verdict).removeprefix("VERDICT_").lower()
            failed += verdict not in ("accepted", "duplicate")
            print(f"{path}\t{id}\t{verdict}\t{receipt.message}", flush=True)
        silence = min(silence * 2, 30)
sys.exit(1 if failed else 0)
