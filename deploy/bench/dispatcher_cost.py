#!/usr/bin/env python3
"""What the way through a dispatcher costs: images/s of `p4q bench pipeline`, and of the same model and photographs through push, dispatcher, worker
and collect, in turns, on the same cores.

dispatcher_cost.py --p4q PROGRAM --model FOLDER --images DIR [--rounds N] [--seconds S] [--folder DIR]

Prints a JSON object for each round and, at the end, the medians and their ratio. The images are pushed again and again, each time as a run of its
own, with their journal durable; results count when the sink has them on its disk. Beside the rates stand core-milliseconds an image of dispatcher,
worker, sink and producers: where others disturb the machine, these say more.
"""
import argparse
import atexit
import json
import os
import resource
import shutil
import statistics
import subprocess
import tempfile
import time

parser = argparse.ArgumentParser()
parser.add_argument("--p4q", required=True)
parser.add_argument("--model", required=True, help="a float or quantized folder with its tokenizer")
parser.add_argument("--images", required=True)
parser.add_argument("--classes", type=int, default=1000)
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--seconds", type=float, default=15)
parser.add_argument("--folder", default=".")
options = parser.parse_args()
program = os.path.abspath(options.p4q)
images = os.path.abspath(options.images)
# What a producer sends: a thousand images and more, since starting one costs a tenth of a second. Ids are paths, so each needs one of its own.
pushed = tempfile.mkdtemp(prefix="images-", dir=os.path.abspath(options.folder))
atexit.register(shutil.rmtree, pushed)
count = 0
while count < 1200:
    shutil.copytree(images, f"{pushed}/{count}")
    count += max(1, sum(len(files) for _, _, files in os.walk(images)))


def direct():
    done = subprocess.run(
        [program, "bench", "pipeline", "--model", options.model, "--images", images, "--classes", str(options.classes), "--seconds",
         str(options.seconds), "--json"], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])["images_per_second"]


class Fleet:
    """A dispatcher, a worker and a sink, with producers that keep some runs of the images ahead of them."""

    def __init__(self, folder, cache):
        self.folder, self.endpoint, self.runs, self.producers = folder, f"ipc://{folder}/dispatcher.sock", 0, []
        self.errors = open(f"{folder}/errors", "w")
        classes = f"{folder}/classes.json"
        with open(classes, "w") as file:
            json.dump({"name": "cost", "templates": ["a photo of a {}."], "classes": [f"thing {i}" for i in range(options.classes)]}, file)
        self.parts = [self.start("dispatch", "--bind", f"@{self.endpoint}", "--journal", f"{folder}/journal", "--log-level", "warning")]
        self.parts.append(self.start("worker", "--model", options.model, "--class-set", classes, "--cache", cache, "--dispatcher", self.endpoint,
                                     "--batch-max", "32", "--log-level", "warning"))
        self.results = f"{folder}/results.jsonl"
        self.parts.append(self.start("collect", "--dispatcher", self.endpoint, "--out", self.results))

    def start(self, *arguments):
        return subprocess.Popen([program, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.errors)

    def collected(self):
        try:
            with open(self.results, "rb") as file:
                return sum(1 for _ in file)
        except FileNotFoundError:
            return 0

    def processor_seconds(self):
        """Of dispatcher, worker, sink and, by what all of them have used, producers."""
        def used(process):
            with open(f"/proc/{process.pid}/stat") as file:
                fields = file.read().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

        # Producers that have ended are in this process's children, and so is nobody else yet.
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        producers = ended.ru_utime + ended.ru_stime + sum(used(producer) for producer in self.producers if producer.poll() is None)
        return [*(used(part) for part in self.parts), producers]

    def feed(self):
        self.producers = [producer for producer in self.producers if producer.poll() is None]
        if len(self.producers) < 2 and self.runs * count < self.collected() + 1000:
            self.producers.append(self.start("push", "--dispatcher", self.endpoint, "--run", f"run-{self.runs}", "--quiet", pushed))
            self.runs += 1

    def stop(self):
        for process in self.producers + self.parts[::-1]:
            process.terminate()
            process.wait()


def dispatched(cache):
    folder = tempfile.mkdtemp(prefix="cost-", dir=os.path.abspath(options.folder))
    fleet = Fleet(folder, cache)
    try:
        begin, start = time.monotonic(), None
        while start is None or time.monotonic() - start[0] < options.seconds:
            fleet.feed()
            if start is None and fleet.collected() > 300:
                start = (time.monotonic(), fleet.collected(), fleet.processor_seconds())
            if start is None and time.monotonic() - begin > 120:
                with open(f"{folder}/errors") as file:
                    raise SystemExit(f"300 results did not come within two minutes: {file.read()[-2000:]}")
            time.sleep(0.2)
        results = fleet.collected() - start[1]
        used = [(late - early) / results * 1000 for early, late in zip(start[2], fleet.processor_seconds())]
        return results / (time.monotonic() - start[0]), dict(zip(("dispatcher", "worker", "sink", "producers"), (round(ms, 2) for ms in used)))
    finally:
        fleet.stop()
        shutil.rmtree(folder, ignore_errors=True)


rates = {"direct": [], "dispatched": []}
with tempfile.TemporaryDirectory() as cache:
    for _ in range(options.rounds):
        rates["direct"].append(direct())
        rate, used = dispatched(cache)
        rates["dispatched"].append(rate)
        print(json.dumps({**{name: round(values[-1], 1) for name, values in rates.items()}, "core_ms_an_image": used}), flush=True)
medians = {name: statistics.median(values) for name, values in rates.items()}
print(json.dumps({"medians": {name: round(value, 1) for name, value in medians.items()},
                  "dispatched_by_direct": round(medians["dispatched"] / medians["direct"], 3)}))
