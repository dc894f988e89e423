"""A producer, a worker and a sink of a dispatcher that know nothing of p4q but its messages, for tests that break things around it.

As a program: peers.py worker ENDPOINT NAME runs one worker, which answers every job with its id's score, and dies of a job whose payload is
`poison`.
"""
import os
import sys
import threading
import time

import zmq

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../deploy/examples"))
from p4q.v1.dispatch_pb2 import Acknowledgement, Answer, AnswerBatch, AnswerKind, Heartbeat, JobQuery, PeerInfo, SubmitReply, Verdict  # noqa: E402
from p4q.v1.job_pb2 import Job, JobBatch  # noqa: E402
from p4q.v1.result_pb2 import Prediction, Result, ResultBatch, Scored  # noqa: E402

CLIENT, WORKER = b"MDPC02", b"MDPW02"
READY, REQUEST, FINAL, HEARTBEAT, DISCONNECT = b"\x01", b"\x02", b"\x04", b"\x05", b"\x06"
context = zmq.Context.instance()
# The dispatcher's public key, and this side's public and secret key; none: no CURVE.
keys = None


def dealer(endpoint):
    socket = context.socket(zmq.DEALER)
    if keys:
        socket.curve_serverkey, socket.curve_publickey, socket.curve_secretkey = keys
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.IMMEDIATE, 1)
    socket.setsockopt(zmq.RECONNECT_IVL, 50)
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, 500)
    socket.connect(endpoint)
    return socket


def post(socket, frames):
    """Sends if there is somebody; who repeats himself needs no more."""
    try:
        socket.send_multipart(frames, zmq.NOBLOCK)
    except zmq.Again:
        pass


def score(id):
    """What a worker makes of a job: a pure function of it."""
    return (hash_of(id) % 1000) / 1000


def hash_of(id):
    value = 2166136261
    for byte in id.encode():
        value = (value ^ byte) * 16777619 & 0xFFFFFFFF
    return value


class Peer(threading.Thread):
    """A thread with an end."""

    def __init__(self, endpoint):
        super().__init__(daemon=True)
        self.endpoint, self.ended, self.error = endpoint, threading.Event(), None
        self.start()

    def run(self):
        try:
            self.live()
        except Exception as error:  # noqa: BLE001
            self.error = error

    def stop(self):
        self.ended.set()
        self.join(15)
        if self.error:
            raise self.error


class Producer(Peer):
    """Sends batches of jobs until it is told to stop, and keeps what the dispatcher has accepted; what it has no answer to it sends again."""

    def __init__(self, endpoint, prefix="j", batch=8, window=8, rate=400, size=1000, payload=None, limit=None):
        self.prefix, self.batch, self.window, self.rate, self.limit = prefix, batch, window, rate, limit
        self.payload = payload or (lambda id: (id.encode() * (size // len(id) + 1))[:size])
        # How long it waits for answers when it is told to stop.
        self.patience = 8
        self.accepted, self.busy, self.waits, self.conflicts, self.sent, self.last = [], 0, [], 0, 0, 0
        super().__init__(endpoint)

    def live(self):
        socket = dealer(self.endpoint)
        open_batches, number, begin = {}, 0, time.monotonic()

        def send(name, ids):
            batch = JobBatch(batch_id=name, jobs=[Job(id=id) for id in ids])
            post(socket, [CLIENT, b"\x01", b"classify", batch.SerializeToString()] + [self.payload(id) for id in ids])
            open_batches[name] = (ids, time.monotonic() + 1)

        while not (self.ended.is_set() and not open_batches):
            while not self.ended.is_set() and len(open_batches) < self.window \
                    and number < (time.monotonic() - begin) * self.rate and (self.limit is None or number < self.limit):
                send(f"{self.prefix}.{number}", [f"{self.prefix}{number + i}" for i in range(self.batch)])
                number += self.batch
                self.sent = number
            if socket.poll(10):
                reply = SubmitReply.FromString(socket.recv_multipart()[3])
                if reply.batch_id in open_batches:
                    left, wait = set(open_batches.pop(reply.batch_id)[0]), 0
                    for receipt in reply.jobs:
                        if receipt.verdict in (Verdict.VERDICT_ACCEPTED, Verdict.VERDICT_DUPLICATE):
                            self.accepted.append(receipt.id)
                            self.last = time.monotonic()
                        elif receipt.verdict == Verdict.VERDICT_BUSY:
                            self.busy += 1
                            self.waits.append(receipt.retry_after_ms)
                            wait = max(wait, receipt.retry_after_ms)
                            continue
                        else:
                            self.conflicts += 1
                        left.discard(receipt.id)
                    if left and not self.ended.is_set():
                        open_batches[reply.batch_id] = (sorted(left), time.monotonic() + min(max(wait, 50), 5000) / 1000)
            now = time.monotonic()
            for name, (ids, due) in list(open_batches.items()):
                if self.ended.is_set() and now > due + self.patience or self.ended.is_set() and not self.patience:
                    del open_batches[name]
                elif due < now:
                    send(name, ids)


class Worker(Peer):
    """Answers every job; a heartbeat a second says what it has begun. `delay` is what a batch takes."""

    def __init__(self, endpoint, name="w", delay=0.0, batch=32):
        self.name_, self.delay, self.items, self.done = name, delay, batch, 0
        super().__init__(endpoint)

    def live(self):
        socket, state = None, "new"
        heard = beaten = time.monotonic()
        while not self.ended.is_set():
            now = time.monotonic()
            if state == "new" or now - heard > 3:
                if socket:
                    socket.close()
                socket, state, heard = dealer(self.endpoint), "ready", now
                if socket.poll(1000, zmq.POLLOUT):
                    info = PeerInfo(worker=f"{self.name_}#{time.monotonic_ns()}", batch_items=self.items)
                    post(socket, [WORKER, READY, b"classify", info.SerializeToString()])
                heard = time.monotonic()
            if now - beaten > 0.5:
                beaten = now
                post(socket, [WORKER, HEARTBEAT])
            if not socket.poll(100):
                continue
            frames, heard = socket.recv_multipart(), time.monotonic()
            if frames[1] == DISCONNECT:
                time.sleep(0.1)
                state = "new"
            if frames[1] == REQUEST:
                self.work(socket, frames)
        if socket:
            post(socket, [WORKER, DISCONNECT])
            socket.close(200)

    def work(self, socket, frames):
        batch = JobBatch.FromString(frames[4])
        beat = Heartbeat()
        for job in batch.jobs:
            beat.leases.add(lease_id=job.lease_id, counter=1)
        post(socket, [WORKER, HEARTBEAT, beat.SerializeToString()])
        if b"poison" in frames[5:]:
            time.sleep(0.05)
            os._exit(9)
        if self.delay:
            time.sleep(self.delay)
        answer = AnswerBatch(batch_id=batch.batch_id, worker=self.name_)
        for job in batch.jobs:
            result = Result(id=job.id, worker=self.name_, attempt=max(job.attempt, 1), traceparent=job.traceparent)
            result.scored.CopyFrom(Scored(predictions=[Prediction(label="x", probability=score(job.id), cosine=0)]))
            answer.answers.append(Answer(lease_id=job.lease_id, kind=AnswerKind.ANSWER_KIND_SCORED, result=result))
        post(socket, [WORKER, FINAL, frames[2], b"", answer.SerializeToString()])
        self.done += len(batch.jobs)


class Sink(Peer):
    """Keeps what it was sent, by sequence, and acknowledges. `delay` is what a delivery takes."""

    def __init__(self, endpoint, group="default", delay=0.0):
        self.group, self.delay, self.outcomes, self.times = group, delay, {}, {}
        super().__init__(endpoint)

    def live(self):
        socket, heard, beaten = None, 0.0, time.monotonic()
        while not self.ended.is_set():
            now = time.monotonic()
            if socket is None or now - heard > 3:
                if socket:
                    socket.close()
                socket = dealer(self.endpoint)
                if socket.poll(1000, zmq.POLLOUT):
                    post(socket, [WORKER, READY, b"results/" + self.group.encode(), PeerInfo(worker="sink").SerializeToString()])
                heard = time.monotonic()
            if now - beaten > 0.5:
                beaten = now
                post(socket, [WORKER, HEARTBEAT])
            if not socket.poll(100):
                continue
            frames, heard = socket.recv_multipart(), time.monotonic()
            if frames[1] == DISCONNECT:
                socket.close()
                socket = None
                time.sleep(0.1)
            elif frames[1] == REQUEST:
                batches = [ResultBatch.FromString(frame) for frame in frames[4:]]
                end = time.monotonic() + self.delay
                while time.monotonic() < end and not self.ended.is_set():
                    post(socket, [WORKER, HEARTBEAT])
                    time.sleep(0.2)
                for result in (result for batch in batches for result in batch.results):
                    code = result.error.code if result.WhichOneof("outcome") == "error" else round(result.scored.predictions[0].probability, 3)
                    self.outcomes.setdefault(result.sequence, (result.id, code))
                    self.times.setdefault(result.id, time.monotonic())
                sequences = [result.sequence for batch in batches for result in batch.results]
                generation = batches[0].generation
                done = Acknowledgement(generation=generation, through=max(sequences)) if generation \
                    else Acknowledgement(sequences=sequences)
                post(socket, [WORKER, FINAL, frames[2], b"", done.SerializeToString()])
        if socket:
            socket.close()


def ask(endpoint, ids, timeout=10.0):
    """The verdict and the state of each job, by id."""
    socket, known = dealer(endpoint), {}
    for first in range(0, len(ids), 256):
        query = JobQuery(service="classify", ids=ids[first:first + 256])
        socket.poll(timeout * 1000, zmq.POLLOUT)
        post(socket, [CLIENT, b"\x01", b"p4q/jobs", query.SerializeToString()])
        if not socket.poll(timeout * 1000):
            raise TimeoutError("no answer to a query")
        for receipt in SubmitReply.FromString(socket.recv_multipart()[3]).jobs:
            known[receipt.id] = receipt
    socket.close()
    return known


if __name__ == "__main__":
    worker = Worker(sys.argv[2], sys.argv[3])
    worker.join()
