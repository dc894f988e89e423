#!/usr/bin/env python3
"""Push image files to a p4q worker: producer.py tcp://127.0.0.1:5557 IMAGE...

A message is two frames: a JobBatch with one job, and the file's bytes. Needs pyzmq and protobuf (requirements.txt).
"""
import sys

import zmq

from p4q.v1.job_pb2 import Job, JobBatch

if len(sys.argv) < 3:
    sys.exit(__doc__)

socket = zmq.Context.instance().socket(zmq.PUSH)
socket.setsockopt(zmq.IMMEDIATE, 1)  # wait for the worker instead of queueing for one that may never come
socket.connect(sys.argv[1])
for path in sys.argv[2:]:
    envelope = JobBatch(jobs=[Job(id=path, metadata={"producer": "python"})]).SerializeToString()
    socket.send_multipart([envelope, open(path, "rb").read()])
