#!/usr/bin/env python3
"""Compares what a producer wrote down with what sinks wrote down: checker.py LOG_FOLDER EXPECTED SINK_FILE...

LOG_FOLDER has submitted.log and accepted.log, an id a line, N:IMAGE. EXPECTED has a JSON line of `p4q classify --json` for each image. A
SINK_FILE is `exclusive=PATH`, or `shared=PATH` (all shared ones are members of one group). Knows nothing of the dispatcher; prints what
it found as one line of JSON, and exits with 1 if any promise was broken.
"""
import json
import os
import sys

folder, expected_path, sinks = sys.argv[1], sys.argv[2], [argument.split("=", 1) for argument in sys.argv[3:]]


def lines(path):
    with open(path, "rb") as file:
        return file.read().decode().split("\n")[:-1]


def key(result):
    """What must be the same bits wherever it was computed."""
    if result["status"] == "ok":
        return json.dumps([(p["label"], p["probability"], p["cosine"]) for p in result["predictions"]])
    return result["error"]["code"]


submitted, accepted = set(lines(f"{folder}/submitted.log")), set(lines(f"{folder}/accepted.log"))
expected = {os.path.basename(json.loads(line)["id"]): key(json.loads(line)) for line in lines(expected_path)}
found = {"submitted": len(submitted), "accepted": len(accepted), "lost": 0, "twice": 0, "invented": 0, "dead": 0, "wrong_score": 0,
         "sequence_not_one_to_one": 0, "out_of_order": 0, "repeats_in_shared": 0}
groups = {}
sequence_of, id_of = {}, {}
for kind, path in sinks:
    seen = groups.setdefault(kind, {})
    last = 0
    for line in lines(path):
        result = json.loads(line)
        id, sequence = result["id"], result["seq"]
        seen[id] = seen.get(id, 0) + 1
        if sequence_of.setdefault(id, sequence) != sequence or id_of.setdefault(sequence, id) != id:
            found["sequence_not_one_to_one"] += 1
        if kind == "exclusive" and sequence <= last:
            found["out_of_order"] += 1
        last = sequence
        if id not in submitted:
            found["invented"] += 1
        if result["status"] == "error" and result["error"]["code"].startswith("dead."):
            found["dead"] += 1
        elif key(result) != expected[id.split(":")[1]]:
            found["wrong_score"] += 1
for kind, seen in groups.items():
    found["lost"] += len(accepted - set(seen))
    repeats = sum(count - 1 for count in seen.values())
    # Members of a shared group are promised each outcome at least once; only an exclusive group's is exactly once.
    found["twice" if kind == "exclusive" else "repeats_in_shared"] += repeats
broken = [name for name in ("lost", "twice", "invented", "dead", "wrong_score", "sequence_not_one_to_one", "out_of_order") if found[name]]
found["outcomes"] = len(sequence_of)
found["broken"] = broken
print(json.dumps(found))
sys.exit(1 if broken or not accepted else 0)
