#!/usr/bin/env python3
"""Kills dispatcher, workers, sinks and producer at random moments under load, then lets checker.py compare what they wrote down.

killtest.py --p4q PROGRAM --model FOLDER [--kills dispatcher=3,worker=3,sink=3,producer=3] [--seed N] [--folder DIR] IMAGE...
"""
import argparse
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

parser = argparse.ArgumentParser()
parser.add_argument("--p4q", required=True)
parser.add_argument("--model", required=True)
parser.add_argument("--labels", default="cat,dog,fish")
parser.add_argument("--kills", default="dispatcher=3,worker=3,sink=3,producer=3")
parser.add_argument("--workers", type=int, default=2)
parser.add_argument("--seed", type=int, default=int(time.time()))
parser.add_argument("--folder")
parser.add_argument("--pause", type=float, default=0.8, help="longest time between two kills, in seconds")
parser.add_argument("--settle", type=float, default=60, help="how long the rest may take after the last kill")
parser.add_argument("images", nargs="+")
options = parser.parse_args()
here = os.path.dirname(os.path.abspath(__file__))
chance = random.Random(options.seed)
folder = options.folder or tempfile.mkdtemp(prefix="p4q-kill-")
os.makedirs(folder, exist_ok=True)
environment = {**os.environ, "SWIFT_BACKTRACE": "enable=no", "XDG_CACHE_HOME": folder}
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    endpoint = f"tcp://127.0.0.1:{probe.getsockname()[1]}"


class Child:
    """A process that is started again whenever it has ended."""

    def __init__(self, name, arguments, **more):
        self.name, self.arguments, self.more = name, arguments, more
        self.log = open(f"{folder}/{name}.log", "ab")
        self.starts = 0
        self.start()

    def start(self):
        self.starts += 1
        self.process = subprocess.Popen(
            self.arguments, stderr=self.log, stdout=self.log, env=environment, stdin=subprocess.PIPE, **self.more)

    def keep(self):
        if self.process.poll() is not None:
            if self.process.returncode not in (0, -signal.SIGKILL):
                unexpected.append(f"{self.name}: {self.process.returncode}")
                if len(unexpected) > 10:
                    sys.exit(f"processes end by themselves: {unexpected}; logs are in {folder}")
                time.sleep(0.2)
            self.start()

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self, limit=30):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(limit)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return None


unexpected = []
p4q = options.p4q
expected = f"{folder}/expected.jsonl"
with open(expected, "wb") as file:
    subprocess.run(
        [p4q, "classify", "--json", "--model", options.model, "--labels", options.labels] + options.images, stdout=file, env=environment,
        stderr=subprocess.DEVNULL)
dispatcher = Child("dispatcher", [p4q, "dispatch", "--bind", f"@{endpoint}", "--journal", f"{folder}/journal", "--batch-jobs", "16"])


def admin(*arguments):
    for _ in range(50):
        done = subprocess.run([p4q, *arguments, "--dispatcher", endpoint], env=environment, capture_output=True)
        if done.returncode == 0:
            return done.stdout.decode()
        dispatcher.keep()
        time.sleep(0.1)
    sys.exit(f"{arguments}: {done.stderr.decode()}")


admin("sinks", "add", "one", "--exclusive", "--from", "earliest")
workers = [
    Child(f"worker-{index}", [
        p4q, "worker", "--model", options.model, "--labels", options.labels, "--dispatcher", endpoint, "--threads", "1", "--name", f"w{index}"])
    for index in range(options.workers)]
collect = [p4q, "collect", "--dispatcher", endpoint, "--quiet"]
sinks = [
    Child("sink-one-a", collect + ["--group", "one", "--standby", "--out", f"{folder}/one.jsonl"]),
    Child("sink-one-b", collect + ["--group", "one", "--standby", "--out", f"{folder}/one.jsonl"]),
    Child("sink-all-a", collect + ["--out", f"{folder}/all-a.jsonl"]),
    Child("sink-all-b", collect + ["--out", f"{folder}/all-b.jsonl"]),
]
producer = Child("producer", [sys.executable, f"{here}/producer.py", endpoint, folder] + options.images)
children = {"dispatcher": [dispatcher], "worker": workers, "sink": sinks, "producer": [producer]}
everyone = [child for group in children.values() for child in group]

plan = []
for part in options.kills.split(","):
    name, count = part.split("=")
    plan += [name] * int(count)
chance.shuffle(plan)
begin = time.monotonic()
time.sleep(1.5)
restarts = []
for victim in plan:
    time.sleep(chance.uniform(0.02, options.pause))
    child = chance.choice(children[victim])
    child.kill()
    for other in everyone:
        other.keep()


def size(path):
    try:
        with open(path, "rb") as file:
            return file.read().count(b"\n")
    except FileNotFoundError:
        return 0


def written():
    """How many outcomes there are, and how many each group has."""
    return size(f"{folder}/accepted.log"), size(f"{folder}/one.jsonl"), size(f"{folder}/all-a.jsonl") + size(f"{folder}/all-b.jsonl")


time.sleep(1)
producer.process.stdin.write(b"stop\n")
producer.process.stdin.flush()
end = time.monotonic() + options.settle
while time.monotonic() < end and producer.process.poll() is None:
    for child in everyone:
        if child is not producer:
            child.keep()
    time.sleep(0.05)
if producer.process.poll() is None:
    print("the producer still waits for answers", file=sys.stderr)
    unexpected.append("producer")
while time.monotonic() < end:
    accepted, one, shared = written()
    if one >= accepted and shared >= accepted:
        break
    for child in everyone:
        if child is not producer:
            child.keep()
    time.sleep(0.2)
figures = json.loads(admin("queue", "figures"))
codes = {child.name: child.stop() for child in workers + sinks + [dispatcher]}
if producer.process.poll() is None:
    producer.kill()
check = subprocess.run(
    [sys.executable, f"{here}/checker.py", folder, expected, f"exclusive={folder}/one.jsonl", f"shared={folder}/all-a.jsonl",
     f"shared={folder}/all-b.jsonl"], capture_output=True)
report = json.loads(check.stdout.decode() or "{}")
report.update(
    seed=options.seed, seconds=round(time.monotonic() - begin, 1), kills=options.kills, unexpected_ends=unexpected, bad_exits={
        name: code for name, code in codes.items() if code not in (0, -signal.SIGTERM if "-one-" in name else 0)},
    open_at_end=figures["openJobs"], failed_attempts=figures["failedAttempts"])
print(json.dumps(report))
if check.returncode or unexpected or report["bad_exits"]:
    print(check.stderr.decode(), file=sys.stderr)
    print(f"logs are in {folder}", file=sys.stderr)
    sys.exit(1)
if not options.folder:
    shutil.rmtree(folder)
