#!/usr/bin/env python3
"""Breaks what a dispatcher stands on, and sees that nothing it has accepted is lost: faults.py --p4q PROGRAM CASE[=COUNT]...

Prints a JSON line for each case: `passed`, `failed` or `skipped`, with what was seen. Exits with 1 if one failed.
"""
import argparse
import fcntl
import json
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request

import zmq
import zmq.auth

import peers
from peers import Producer, Sink, Worker, ask, score
from p4q.v1.dispatch_pb2 import Verdict

parser = argparse.ArgumentParser()
parser.add_argument("--p4q", required=True)
parser.add_argument("--seed", type=int, default=int(time.time()))
parser.add_argument("cases", nargs="+")
options = parser.parse_args()
chance = random.Random(options.seed)
if os.getuid() == 0 and not os.environ.get("P4Q_FAULTS_INSIDE") and shutil.which("unshare"):
    # Mounts of its own: a disk that another process still sees can't be cut off and mounted again.
    os.environ["P4Q_FAULTS_INSIDE"] = "1"
    os.execvp("unshare", ["unshare", "-m", "--propagation", "private", sys.executable, *sys.argv])
here = os.path.dirname(os.path.abspath(__file__))
environment = {**os.environ, "SWIFT_BACKTRACE": "enable=no"}


class Skipped(Exception):
    """Why a case can't run here."""


class Broken(Exception):
    """A promise that was not kept."""


def need(condition, text):
    if not condition:
        raise Broken(text)


def free_endpoint():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{probe.getsockname()[1]}"


class Dispatcher:
    def __init__(self, folder, endpoint=None, arguments=(), before=(), wait=True):
        self.endpoint = endpoint or free_endpoint()
        self.errors = open(f"{tempfile.gettempdir()}/p4q-faults.log", "ab+")
        self.process = subprocess.Popen(
            [*before, options.p4q, "dispatch", "--bind", f"@{self.endpoint}", "--journal", f"{folder}/journal", *arguments],
            stdout=self.errors, stderr=self.errors, env=environment)
        if wait:
            self.wait()

    def wait(self, limit=20):
        """Until it answers; the exit code if it ends instead."""
        end = time.monotonic() + limit
        while time.monotonic() < end and self.process.poll() is None:
            try:
                ask(self.endpoint, ["?"], 0.5)
                return None
            except (TimeoutError, Exception):  # noqa: BLE001
                time.sleep(0.05)
        return self.process.poll()

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def freeze(self):
        """Stops every thread where it is; those in a system call that can't be interrupted stop when it returns."""
        self.process.send_signal(signal.SIGSTOP)
        tasks = f"/proc/{self.process.pid}/task"
        while True:
            states = set()
            for task in os.listdir(tasks):
                with open(f"{tasks}/{task}/stat") as file:
                    states.add(file.read().rpartition(")")[2].split()[0])
            if states <= {"T", "D"}:
                return

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()
            return "it did not end"

    def memory(self, which="VmRSS"):
        with open(f"/proc/{self.process.pid}/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith(which)) * 1024

    def figures(self):
        return json.loads(subprocess.run(
            [options.p4q, "queue", "figures", "--dispatcher", self.endpoint], capture_output=True, env=environment, check=True).stdout)


def settle(accepted, sink, limit=60, died=()):
    """Waits until everything accepted has come, then checks what came."""
    end = time.monotonic() + limit
    while time.monotonic() < end and len(sink.times) < len(set(accepted)):
        time.sleep(0.05)
    check(accepted, sink, died)


def check(accepted, sink, died=()):
    ids = [id for id, _ in sink.outcomes.values()]
    missing = set(accepted) - set(ids)
    need(not missing, f"{len(missing)} accepted and never seen, as {sorted(missing)[:3]}")
    need(len(ids) == len(set(ids)), f"{len(ids) - len(set(ids))} jobs have two sequence numbers")
    wrong = [(id, code) for id, code in sink.outcomes.values() if id not in died and code != round(score(id), 3)]
    need(not wrong, f"{len(wrong)} wrong outcomes, as {wrong[:3]}")


# MARK: Cases. Each gets a folder and a count, and returns what it saw.


def power_cut(folder, count, arguments=(), mount_only=False):
    """The journal's disk (ext4 on a loop file) is shut down under load without flushing its log; `count` times on one journal."""
    disk, mount = f"{folder}/disk", f"{folder}/mnt"
    os.mkdir(mount)

    def run(*command):
        done = subprocess.run(command, capture_output=True)
        if done.returncode:
            raise Skipped(f"{' '.join(command)}: {done.stderr.decode().strip()}")

    run("truncate", "-s", "1500M", disk)
    run("mkfs.ext4", "-q", "-F", disk)
    run("mount", "-o", "loop", disk, mount)
    accepted, lost, restarts = [], 0, []
    try:
        for cycle in range(count):
            dispatcher = Dispatcher(mount, arguments=arguments)
            worker, sink = Worker(dispatcher.endpoint), Sink(dispatcher.endpoint)
            producer = Producer(dispatcher.endpoint, prefix=f"{cycle}-", rate=2000)
            time.sleep(chance.uniform(0.3, 2))
            descriptor = os.open(mount, os.O_RDONLY)
            # Without power nobody says anything any more. Only the disk would not do: an fdatasync that is under way while it is shut down
            # can return 0, and the program would go on. (A plain loop of write and fdatasync shows it, without any queue: 3 of 40 shutdowns, each
            # time the one call that had begun before the shutdown and returned after it. Without stopping first, 1 of 50 cuts lost one commit, of 16
            # jobs, that was answered after the cut had begun.)
            dispatcher.freeze()
            fcntl.ioctl(descriptor, 0x8004587D, struct.pack("I", 2))  # EXT4_IOC_SHUTDOWN, without flushing its log
            os.close(descriptor)
            # What had left before arrives.
            time.sleep(0.2)
            dispatcher.kill()
            producer.patience = 0
            for peer in (producer, worker, sink):
                peer.stop()
            new = list(dict.fromkeys(producer.accepted))
            run("umount", mount)
            run("mount", "-o", "loop", disk, mount)
            begin = time.monotonic()
            after = Dispatcher(mount, arguments=arguments)
            if after.process.poll() is not None:
                need(arguments, f"it does not start again: exit {after.process.returncode}")
                after = Dispatcher(mount, arguments=(*arguments, "--accept-loss"))
            restarts.append(time.monotonic() - begin)
            accepted += new
            known = ask(after.endpoint, accepted)
            gone = [id for id in accepted if known[id].verdict == Verdict.VERDICT_UNKNOWN]
            lost += len(gone)
            accepted = [id for id in accepted if id not in set(gone)]
            after.stop()
        if not arguments:
            need(lost == 0, f"{lost} accepted jobs were lost")
            last = Dispatcher(mount)
            worker, sink = Worker(last.endpoint), Sink(last.endpoint)
            end = time.monotonic() + 60
            while time.monotonic() < end and last.figures()["openJobs"]:
                time.sleep(0.2)
            open_jobs = last.figures()["openJobs"]
            states = {receipt.state for receipt in ask(last.endpoint, accepted).values()}
            for peer in (worker, sink):
                peer.stop()
            last.stop()
            need(open_jobs == 0 and states == {4}, f"{open_jobs} jobs stay open; states {states}")
    finally:
        subprocess.run(["umount", "-l", mount], capture_output=True)
    return {"cycles": count, "accepted": len(accepted), "lost": lost, "longest_restart_s": round(max(restarts), 2)}


def power_cut_control(folder, count):
    """The same without waiting for the disk: it must lose, or the case above shows nothing."""
    for _ in range(count):
        seen = power_cut(tempfile.mkdtemp(dir=folder), 1, arguments=("--fast-and-lossy",))
        if seen["lost"]:
            return {"lost": seen["lost"]}
    raise Broken(f"nothing was lost in {count} power cuts without synchronous=FULL: the test can't see a loss")


def syscalls(folder, count):
    """The dispatcher is killed at its N-th fsync, fdatasync or rename, N = 1, 2, …; at most `count` points of each."""
    if not shutil.which("strace"):
        raise Skipped("strace is not here")
    points, accepted = {}, 0
    for call in ("fdatasync", "fsync", "rename"):
        for number in range(1, count + 1):
            place = tempfile.mkdtemp(dir=folder)
            trace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:signal=SIGKILL:when={number}"]
            dispatcher = Dispatcher(place, before=trace, wait=False)
            producer = Producer(dispatcher.endpoint, rate=1000, limit=160)
            worker, sink = Worker(dispatcher.endpoint), Sink(dispatcher.endpoint)
            end = time.monotonic() + 6
            while dispatcher.process.poll() is None and time.monotonic() < end and len(sink.times) < 160:
                time.sleep(0.02)
            died = dispatcher.process.poll() is not None
            dispatcher.kill()
            subprocess.run(["pkill", "-KILL", "-P", str(dispatcher.process.pid)])
            after = Dispatcher(place, endpoint=dispatcher.endpoint)
            need(after.process.poll() is None, f"{call} {number}: it does not start again")
            end = time.monotonic() + 20
            while time.monotonic() < end and len(set(producer.accepted)) < 160:
                time.sleep(0.02)
            try:
                settle(producer.accepted, sink, 20)
            except Broken as error:
                raise Broken(f"{call} {number}: {error}") from None
            accepted += len(set(producer.accepted))
            for peer in (producer, worker, sink):
                peer.stop()
            after.stop()
            shutil.rmtree(place)
            if not died:
                break
            points[call] = number
    return {"points": points, "accepted": accepted}


def full_disk(folder, count):
    """The journal's disk (tmpfs) fills up: BUSY, nothing accepted is lost, and it goes on by itself when there is room."""
    mount = f"{folder}/small"
    os.mkdir(mount)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "none", mount], capture_output=True)
    if done.returncode:
        raise Skipped(f"no tmpfs: {done.stderr.decode().strip()}")
    try:
        dispatcher = Dispatcher(mount)
        producer = Producer(dispatcher.endpoint, size=50_000, rate=2000)
        end = time.monotonic() + 60
        while time.monotonic() < end and producer.busy < 20 and dispatcher.process.poll() is None:
            time.sleep(0.05)
        need(dispatcher.process.poll() is None, f"it ended with {dispatcher.process.returncode}")
        need(producer.busy >= 20, "nobody was told that it is busy")
        stuck = len(producer.accepted)
        worker, sink = Worker(dispatcher.endpoint), Sink(dispatcher.endpoint)
        end = time.monotonic() + 30
        while time.monotonic() < end and len(sink.times) < stuck:
            time.sleep(0.05)
        need(len(sink.times) >= stuck, f"with a full disk only {len(sink.times)} of {stuck} outcomes came")
        subprocess.run(["mount", "-o", "remount,size=512m", mount], check=True)
        begin = time.monotonic()
        before = len(producer.accepted)
        while time.monotonic() < begin + 30 and len(producer.accepted) < before + 100:
            time.sleep(0.02)
        need(len(producer.accepted) >= before + 100, "with room again it takes nothing")
        resumed = time.monotonic() - begin
        producer.stop()
        settle(producer.accepted, sink)
        for peer in (worker, sink):
            peer.stop()
        code = dispatcher.stop()
        need(code == 0, f"exit {code}")
        return {"accepted": len(producer.accepted), "busy": producer.busy, "resumed_after_s": round(resumed, 1)}
    finally:
        subprocess.run(["umount", "-l", mount], capture_output=True)


def stopped_worker(folder, count):
    """A worker is stopped (SIGSTOP) for `count` seconds with jobs in its hands, and goes on."""
    dispatcher = Dispatcher(folder)
    sink = Sink(dispatcher.endpoint)
    slow = subprocess.Popen([sys.executable, f"{here}/peers.py", "worker", dispatcher.endpoint, "stopped"], env=environment)
    time.sleep(1.5)
    producer = Producer(dispatcher.endpoint, rate=300)
    time.sleep(1)
    slow.send_signal(signal.SIGSTOP)
    other = Worker(dispatcher.endpoint, "other")
    stopped = time.monotonic()
    seen = len(sink.times)
    while len(sink.times) < seen + 200 and time.monotonic() < stopped + 20:
        time.sleep(0.01)
    resumed = time.monotonic() - stopped
    time.sleep(max(0, count - (time.monotonic() - stopped)))
    slow.send_signal(signal.SIGCONT)
    time.sleep(2)
    producer.stop()
    settle(producer.accepted, sink)
    slow.kill()
    slow.wait()
    for peer in (other, sink):
        peer.stop()
    dispatcher.stop()
    return {"accepted": len(producer.accepted), "others_went_on_after_s": round(resumed, 1)}


def stopped_dispatcher(folder, count):
    """The dispatcher itself is stopped (SIGSTOP) for `count` seconds, again and again, while its workers work: no job pays for that."""
    dispatcher = Dispatcher(folder)
    sink = Sink(dispatcher.endpoint)
    workers = [Worker(dispatcher.endpoint, f"w{number}", delay=0.3, batch=4) for number in range(2)]
    producer = Producer(dispatcher.endpoint, rate=20)
    for length in (0.5, count / 4, count):
        time.sleep(2)
        dispatcher.process.send_signal(signal.SIGSTOP)
        time.sleep(length)
        dispatcher.process.send_signal(signal.SIGCONT)
    time.sleep(2)
    producer.stop()
    settle(producer.accepted, sink)
    failed = dispatcher.figures()["failedAttempts"]
    for peer in (*workers, sink):
        peer.stop()
    dispatcher.stop()
    need(not any(failed.values()), f"attempts that a standstill cost: {failed}")
    return {"accepted": len(producer.accepted)}


def partition(folder, count):
    """The network between dispatcher and everybody else (two network namespaces) is cut for `count` seconds."""
    name = f"p4q{os.getpid()}"

    def run(*command):
        done = subprocess.run(command, capture_output=True)
        if done.returncode:
            raise Skipped(f"{' '.join(command)}: {done.stderr.decode().strip()}")

    inside = ["ip", "netns", "exec", name]
    try:
        run("ip", "netns", "add", name)
        run("ip", "link", "add", f"{name[:8]}a", "type", "veth", "peer", "name", f"{name[:8]}b", "netns", name)
        run("ip", "addr", "add", "10.199.77.1/30", "dev", f"{name[:8]}a")
        run("ip", "link", "set", f"{name[:8]}a", "up")
        run(*inside, "ip", "addr", "add", "10.199.77.2/30", "dev", f"{name[:8]}b")
        run(*inside, "ip", "link", "set", f"{name[:8]}b", "up")
        dispatcher = Dispatcher(folder, endpoint="tcp://10.199.77.2:5555", arguments=("--insecure",), before=inside)
        need(dispatcher.process.poll() is None, "the dispatcher does not start in its namespace")
        producer = Producer(dispatcher.endpoint, rate=300)
        worker, sink = Worker(dispatcher.endpoint), Sink(dispatcher.endpoint)
        time.sleep(2)
        run("ip", "link", "set", f"{name[:8]}a", "down")
        before = len(producer.accepted)
        time.sleep(count)
        run("ip", "link", "set", f"{name[:8]}a", "up")
        begin = time.monotonic()
        while time.monotonic() < begin + 60 and len(producer.accepted) < before + 100:
            time.sleep(0.02)
        back = time.monotonic() - begin
        need(len(producer.accepted) >= before + 100, "nothing is accepted after the cut")
        time.sleep(1)
        producer.stop()
        settle(producer.accepted, sink)
        for peer in (worker, sink):
            peer.stop()
        dispatcher.kill()
        return {"accepted": len(producer.accepted), "back_after_s": round(back, 1)}
    finally:
        subprocess.run(["ip", "netns", "del", name], capture_output=True)


def damaged_journal(folder, count):
    """What a kill left is cut, flipped, deleted or grown: it must be whole, or refused, or say which job is damaged; never silently less."""
    dispatcher = Dispatcher(folder)
    producer = Producer(dispatcher.endpoint, rate=1500, limit=800, size=300)
    while len(set(producer.accepted)) < 800:
        time.sleep(0.05)
    producer.stop()
    time.sleep(1.2)
    # This commit comes more than a second after the others: the high-water file now covers them.
    last = Producer(dispatcher.endpoint, prefix="last", limit=8)
    while len(last.accepted) < 8:
        time.sleep(0.05)
    last.stop()
    dispatcher.kill()
    accepted = sorted(set(producer.accepted))
    seen = {"whole": 0, "refused": 0, "named": 0}
    for trial in range(count):
        place = tempfile.mkdtemp(dir=folder)
        shutil.copytree(f"{folder}/journal", f"{place}/journal", ignore=shutil.ignore_patterns("ballast"))
        what = damage(f"{place}/journal", trial)
        after = Dispatcher(place)
        if after.process.poll() is not None:
            need(after.process.returncode in (66, 74), f"{what}: it ends with {after.process.returncode}")
            seen["refused"] += 1
        else:
            known = ask(after.endpoint, accepted)
            gone = [id for id in accepted if known[id].verdict == Verdict.VERDICT_UNKNOWN]
            need(not gone, f"{what}: {len(gone)} jobs are gone and nobody says so")
            worker, sink = Worker(after.endpoint), Sink(after.endpoint)
            end = time.monotonic() + 30
            while time.monotonic() < end and len(sink.times) < len(accepted) and after.process.poll() is None:
                time.sleep(0.02)
            # Before anybody looks into what they have seen, which they go on writing.
            for peer in (worker, sink):
                peer.stop()
            if after.process.poll() is not None:
                need(after.process.returncode == 74, f"{what}: it ends with {after.process.returncode}")
                seen["refused"] += 1
            else:
                corrupt = [id for id, code in sink.outcomes.values() if code == "dead.corrupt"]
                try:
                    check(accepted, sink, corrupt)
                except Broken as error:
                    raise Broken(f"{what}: {error}") from None
                seen["named" if corrupt else "whole"] += 1
        after.kill()
        shutil.rmtree(place)
    return {"trials": count, **seen}


def damage(journal, trial):
    log, database = f"{journal}/journal.sqlite-wal", f"{journal}/journal.sqlite"
    kind = trial % 7
    if kind == 0:
        return "as it was"
    if kind == 1:
        size = os.path.getsize(log)
        cut = chance.randrange(1, min(size, 65536))
        os.truncate(log, size - cut)
        return f"the log's last {cut} bytes cut off"
    if kind == 2:
        os.unlink(log)
        return "the log deleted"
    if kind == 3:
        with open(log, "ab") as file:
            file.write(chance.randbytes(chance.randrange(1, 20000)))
        return "garbage behind the log"
    path = [log, database, next(f"{journal}/{name}" for name in sorted(os.listdir(journal)) if name.startswith("payload-"))
            if any(name.startswith("payload-") for name in os.listdir(journal)) else log][kind - 4]
    size = os.path.getsize(path)
    if not size:
        return "as it was"
    with open(path, "r+b") as file:
        place = chance.randrange(size)
        file.seek(place)
        byte = file.read(1)[0] ^ 1 << chance.randrange(8)
        file.seek(place)
        file.write(bytes([byte]))
    return f"a bit of {os.path.basename(path)} flipped at {place}"


def poison(folder, count):
    """`count` jobs kill every worker that begins them: they are given up, and all the others are scored."""
    dispatcher = Dispatcher(folder)
    poisonous = {f"p{n * 50 + 7}" for n in range(count)}
    sink = Sink(dispatcher.endpoint)
    producer = Producer(dispatcher.endpoint, prefix="p", rate=2000, limit=count * 50 // 8 * 8 + 8,
                        payload=lambda id: b"poison" if id in poisonous else b"good")
    command = [sys.executable, f"{here}/peers.py", "worker", dispatcher.endpoint, "w"]
    workers, deaths = [subprocess.Popen(command, env=environment) for _ in range(2)], 0
    end = time.monotonic() + 60 + 40 * count
    while time.monotonic() < end and (len(producer.accepted) < producer.sent or len(sink.times) < producer.sent):
        for index, worker in enumerate(workers):
            if worker.poll() is not None:
                deaths += 1
                workers[index] = subprocess.Popen(command, env=environment)
        time.sleep(0.05)
    producer.stop()
    settle(producer.accepted, sink, 5, died=poisonous)
    codes = {code for id, code in sink.outcomes.values() if id in poisonous}
    for worker in workers:
        worker.kill()
    sink.stop()
    dispatcher.stop()
    need(codes == {"dead.crash"}, f"poisonous jobs ended as {codes}")
    return {"accepted": len(producer.accepted), "poisonous": count, "workers_died": deaths}


def slow_sink(folder, count):
    """A group's only sink takes a second for each delivery, for `count` seconds, under load: memory stays, the other group does not feel it."""
    dispatcher = Dispatcher(folder, arguments=("--sink-window", "16"))
    subprocess.run([options.p4q, "sinks", "add", "slow", "--exclusive", "--from", "earliest", "--dispatcher", dispatcher.endpoint],
                   check=True, env=environment, capture_output=True)
    worker, fast, slow = Worker(dispatcher.endpoint), Sink(dispatcher.endpoint), Sink(dispatcher.endpoint, "slow", delay=1)
    producer = Producer(dispatcher.endpoint, rate=500)
    time.sleep(3)
    early = dispatcher.memory()
    time.sleep(count)
    late = dispatcher.memory()
    behind = {group["name"]: group["unread"] for group in dispatcher.figures()["groups"]}
    producer.stop()
    settle(producer.accepted, fast)
    slow.delay = 0
    settle(producer.accepted, slow, 60)
    for peer in (worker, fast, slow):
        peer.stop()
    dispatcher.stop()
    per_job = (late - early) / max(1, len(producer.accepted))
    need(behind["slow"] > 10 * max(behind["default"], 1), f"unread {behind}: the slow group is not behind, or the other is")
    need(per_job < 4000, f"memory grew by {late - early} bytes")
    return {"accepted": len(producer.accepted), "unread": behind, "memory_mb": [early >> 20, late >> 20]}


def overload(folder, count):
    """Ten times what the workers do, for `count` seconds: BUSY with a time, memory bounded, everything accepted comes out."""
    dispatcher = Dispatcher(folder, arguments=("--max-jobs", "2000"))
    worker, sink = Worker(dispatcher.endpoint, delay=0.16, batch=32), Sink(dispatcher.endpoint)
    producers = [Producer(dispatcher.endpoint, prefix=f"{n}-", rate=1000, size=20_000) for n in range(2)]
    time.sleep(min(5, count / 2))
    early = dispatcher.memory()
    time.sleep(count)
    late = dispatcher.memory()
    busy, waits = sum(p.busy for p in producers), [wait for p in producers for wait in p.waits]
    for producer in producers:
        producer.stop()
    accepted = [id for p in producers for id in p.accepted]
    worker.delay = 0
    settle(accepted, sink, 60)
    for peer in (worker, sink):
        peer.stop()
    dispatcher.stop()
    need(busy > 100 and min(waits) > 0, f"{busy} times BUSY, shortest wait {min(waits, default=None)}")
    need(late - early < 64 << 20, f"memory grew from {early >> 20} to {late >> 20} MB")
    return {"offered": sum(p.sent for p in producers), "accepted": len(accepted), "busy": busy, "memory_mb": [early >> 20, late >> 20]}


def metrics(port):
    """The samples of /metrics by name and labels."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if not line.startswith("#"))}


def strangers(folder, count):
    """`count` connections that come and go beside a good client: garbage, torn greetings, no key, a wrong key; and messages without end."""
    def keys(*arguments):
        subprocess.run([options.p4q, "keys", *arguments], check=True, env=environment, capture_output=True)

    for name in ("dispatcher", "camera"):
        keys("new", name, "--folder", f"{folder}/keys")
    keys("allow", f"{folder}/keys/camera.key", "--role", "producer", "--allow", f"{folder}/allowed")
    server, _ = zmq.auth.load_certificate(f"{folder}/keys/dispatcher.key")
    peers.keys = (server, *zmq.auth.load_certificate(f"{folder}/keys/camera.key_secret"))
    try:
        watched = free_endpoint().rpartition(":")[2]
        dispatcher = Dispatcher(folder, arguments=("--key", f"{folder}/keys/dispatcher.key_secret", "--allow", f"{folder}/allowed",
                                                   "--http", watched))
        need(dispatcher.process.poll() is None, "it does not start")
        host, port = "127.0.0.1", int(dispatcher.endpoint.split(":")[2])
        good = Producer(dispatcher.endpoint, batch=1, window=1, rate=20)
        time.sleep(1)
        early, files = dispatcher.memory(), len(os.listdir(f"/proc/{dispatcher.process.pid}/fd"))
        context = zmq.Context()
        greeting = b"\xff" + bytes(8) + b"\x7f\x03\x00"
        latencies, before = [], 0
        for number in range(count):
            kind = number % 5
            if kind < 3:
                with socket.create_connection((host, port)) as raw:
                    raw.sendall([chance.randbytes(200), greeting + b"CURVE" + bytes(47), (greeting + b"NULL" + bytes(48)) * 2][kind])
            else:
                stranger = context.socket(zmq.DEALER)
                stranger.linger = 0
                stranger.immediate = 1
                if kind == 3:
                    stranger.curve_serverkey = server
                    stranger.curve_publickey, stranger.curve_secretkey = zmq.curve_keypair()
                stranger.connect(dispatcher.endpoint)
                if number % 50 == kind:
                    need(not stranger.poll(200, zmq.POLLOUT), "a stranger got in")
                stranger.close()
            if number % 100 == 99:
                begin = time.monotonic()
                ask(dispatcher.endpoint, ["?"], 10)
                latencies.append(time.monotonic() - begin)
        late = dispatcher.memory()
        # A message without end, from somebody who is let in: it is dropped, and costs nobody else anything.
        endless = peers.dealer(dispatcher.endpoint)
        endless.poll(2000, zmq.POLLOUT)
        for _ in range(5000):
            endless.send(b"x" * 100, zmq.SNDMORE)
        endless.send(b"x")
        ask(dispatcher.endpoint, ["?"], 10)
        end = time.monotonic() + 20
        while time.monotonic() < end and len(os.listdir(f"/proc/{dispatcher.process.pid}/fd")) > files + 3:
            time.sleep(0.2)
        left = len(os.listdir(f"/proc/{dispatcher.process.pid}/fd"))
        # Who is let in, but may not do it, or says what nobody understands.
        peers.post(endless, [peers.CLIENT, b"\x01", b"p4q/admin", b""])
        peers.post(endless, [peers.CLIENT, b"\x77", b"?"])
        ask(dispatcher.endpoint, ["?"], 10)
        keys("revoke", "camera", "--allow", f"{folder}/allowed")
        time.sleep(3)
        accepted = len(good.accepted)
        late_comer = peers.dealer(dispatcher.endpoint)
        need(not late_comer.poll(1000, zmq.POLLOUT), "a revoked key opens")
        late_comer.close()
        good.stop()
        seen = metrics(watched)
        refused = {reason: seen.get(f'p4q_refused_messages_total{{reason="{reason}"}}', 0) for reason in ("key", "role", "malformed")}
        turned_away = seen['p4q_connections_total{state="accepted"}'] - seen['p4q_connections_total{state="established"}']
        code = dispatcher.stop()
        need(code == 0, f"exit {code}")
        # Every stranger whose connection was waited for, and the revoked one, showed a key; no other one came through its handshake either.
        need(refused["key"] > count // 50, f"{refused} of {count // 50} wrong keys that were waited for")
        need(refused["role"] == 1 and refused["malformed"] >= 2, f"{refused}: one admin request, an endless and a senseless message")
        # Those that libzmq makes may be gone before they are connected: three kinds of five are certain.
        need(turned_away >= count * 3 // 5, f"{turned_away} of {count} strangers were counted as turned away")
        need(accepted > 10 and good.conflicts == 0, f"the good client got {accepted} jobs in")
        need(late - early < 64 << 20, f"memory grew from {early >> 20} to {late >> 20} MB")
        need(left <= files + 3, f"{left} files are open, before it were {files}")
        return {"connections": count, "accepted": accepted, "slowest_answer_ms": round(max(latencies, default=0) * 1000),
                "refused": refused, "turned_away": turned_away,
                "memory_mb": [early >> 20, late >> 20], "open_files": [files, left]}
    finally:
        peers.keys = None


def zmtp(port):
    """A connection that has shaken hands as an unauthenticated DEALER, by hand."""
    raw = socket.create_connection(("127.0.0.1", port))
    raw.settimeout(5)
    raw.sendall(b"\xff" + bytes(8) + b"\x7f\x03\x00NULL" + bytes(16) + bytes(32))
    left = 64
    while left:
        got = raw.recv(left)
        need(got, "no greeting")
        left -= len(got)
    ready = b"\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER\x08Identity\x00\x00\x00\x00"
    raw.sendall(b"\x04" + bytes([len(ready)]) + ready)
    need(raw.recv(1000), "no READY")
    return raw


def is_cut(raw, limit=10):
    """Whether the other side ends a connection on which nothing more is sent."""
    raw.settimeout(limit)
    try:
        while raw.recv(4096):
            pass
    except socket.timeout:
        return False
    except OSError:
        pass
    return True


def endless(folder, count):
    """`count` frames whose announced size is beyond all bounds, and messages that never end, from strangers and from somebody let in."""
    limit = 384 << 20
    dispatcher = Dispatcher(folder, before=("prlimit", f"--data={limit}"))
    need(dispatcher.process.poll() is None, "it does not start")
    port = int(dispatcher.endpoint.split(":")[2])
    sink, worker = Sink(dispatcher.endpoint), Worker(dispatcher.endpoint)
    good = Producer(dispatcher.endpoint, batch=4, window=2, rate=100)
    time.sleep(1)
    early = dispatcher.memory()
    for number in range(count):
        # 8-byte sizes: above the largest image, above memory, above what is signed. The flag is MORE, so that the message goes on.
        raw = zmtp(port)
        raw.sendall(b"\x03" + struct.pack(">Q", chance.choice([1 << 27, 1 << 40, (1 << 63) - 1, (1 << 64) - 1])) + b"x" * 1000)
        need(is_cut(raw), "a frame without bounds is not cut off")
        raw.close()
        if number % 10 == 0:
            ask(dispatcher.endpoint, ["?"], 10)
    late = dispatcher.memory()
    need(late - early < 64 << 20, f"memory grew from {early >> 20} to {late >> 20} MB by announced sizes")
    # A greeting that does not go on.
    torn = socket.create_connection(("127.0.0.1", port))
    torn.sendall(b"\xff" + bytes(8) + b"\x7f\x03")
    begin = time.monotonic()
    need(is_cut(torn, 12), "a handshake that does not go on is not ended")
    handshake = time.monotonic() - begin
    # Somebody who is let in never ends his message. libzmq keeps it from the program, so it ends at the process's limit of memory: the
    # connection is cut off, or the process ends. What was accepted is there all the same, and so is the service.
    raw, sent, end = zmtp(port), 0, time.monotonic() + 60
    block = (b"\x03" + struct.pack(">Q", 1 << 20) + bytes(1 << 20)) * 4
    raw.settimeout(5)
    try:
        while dispatcher.process.poll() is None and time.monotonic() < end:
            raw.sendall(block)
            sent += len(block)
    except OSError:
        pass
    raw.close()
    ended = None
    try:
        ended = dispatcher.process.wait(10)
    except subprocess.TimeoutExpired:
        pass
    seconds = None
    if ended is None:
        ask(dispatcher.endpoint, ["?"], 10)
        need(dispatcher.memory() < limit // 2, f"after the message {dispatcher.memory() >> 20} MB are still held")
    if ended is not None:
        begin = time.monotonic()
        dispatcher = Dispatcher(folder, dispatcher.endpoint)
        need(dispatcher.process.poll() is None, f"it does not start again: {dispatcher.process.poll()}")
        seconds = time.monotonic() - begin
        need(seconds < 10, f"it was back after {seconds:.1f} s")
    time.sleep(1)
    good.stop()
    settle(good.accepted, sink)
    accepted = len(good.accepted)
    sink.stop()
    worker.stop()
    code = dispatcher.stop()
    need(code == 0, f"exit {code}")
    return {"announced": count, "memory_mb": [early >> 20, late >> 20], "handshake_ended_after": round(handshake, 1), "accepted": accepted,
            "endless_mb": sent >> 20, "ended_with": ended, "back_after": seconds and round(seconds, 1)}


cases = {f.__name__.replace("_", "-"): f for f in (
    power_cut, power_cut_control, syscalls, full_disk, stopped_worker, stopped_dispatcher, partition, damaged_journal, poison, slow_sink,
    overload, strangers, endless)}
failed = False
for argument in options.cases:
    name, _, count = argument.partition("=")
    folder = tempfile.mkdtemp(prefix=f"p4q-{name}-")
    begin, report = time.monotonic(), {"case": name, "seed": options.seed}
    try:
        report.update(verdict="passed", **cases[name](folder, int(count or 1)))
    except Skipped as reason:
        report.update(verdict="skipped", reason=str(reason))
    except Exception as error:  # noqa: BLE001
        report.update(verdict="failed", reason=f"{type(error).__name__}: {error}")
        failed = True
    report["seconds"] = round(time.monotonic() - begin, 1)
    print(json.dumps(report), flush=True)
    shutil.rmtree(folder, ignore_errors=True)
sys.exit(1 if failed else 0)
