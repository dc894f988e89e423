#!/usr/bin/env python3
"""Print a p4q worker's results as lines of JSON: sink.py ENDPOINT [COUNT]

ENDPOINT is connected to, as tcp://127.0.0.1:5558, or bound with an @ in front: @tcp://*:5558. Stops after at least COUNT
results: a message, which is one frame, a ResultBatch, is taken whole. Needs pyzmq and protobuf (requirements.txt).
"""
import json
import sys

import zmq

from p4q.v1.result_pb2 import LearningEffect, ResultBatch, Stage

if len(sys.argv) < 2:
    sys.exit(__doc__)

endpoint, left = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else None
socket = zmq.Context.instance().socket(zmq.PULL)
socket.bind(endpoint[1:]) if endpoint.startswith("@") else socket.connect(endpoint.lstrip(">"))
while left is None or left > 0:
    for result in ResultBatch.FromString(socket.recv()).results:
        line = {"id": result.id}
        if result.WhichOneof("outcome") == "scored":
            line["status"] = "ok"
            line["predictions"] = [
                {"label": p.label, "index": p.index, "probability": p.probability, "cosine": p.cosine}
                for p in result.scored.predictions
            ]
            line["unknown"] = result.scored.unknown
        elif result.WhichOneof("outcome") == "learned":
            line["status"] = "learned"
            line["example"] = result.learned.example_id
            line["effect"] = LearningEffect.Name(result.learned.effect).removeprefix("LEARNING_EFFECT_").lower()
        else:
            error = result.error
            stage = Stage.Name(error.stage).removeprefix("STAGE_").lower()
            line["status"] = "error"
            line["error"] = {"code": error.code, "stage": stage, "message": error.message, "retryable": error.retryable}
        line["metadata"] = dict(result.metadata)
        print(json.dumps(line, ensure_ascii=False), flush=True)
        left = None if left is None else left - 1
