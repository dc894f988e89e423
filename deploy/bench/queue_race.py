#!/usr/bin/env python3
"""Races p4q's dispatcher with beanstalkd and a PostgreSQL SKIP LOCKED queue, in turns, on one disk, everything durable.

queue_race.py --p4q PROGRAM [--seconds S] [--rounds N] [--bytes B] [--batch N] [--folder DIR]

A job is put in, taken by a worker, finished with a result of 200 bytes, and its result is taken by a sink and acknowledged. Every step of
every job is on the disk before it is answered: `p4q bench queue` (synchronous=FULL), `beanstalkd -b DIR -f0`, `synchronous_commit=on`. Each
peer gets its commands in batches of the same size. beanstalkd: five commands a job, pipelined. PostgreSQL: three transactions a batch (insert; take
and finish; take the results), twice: `postgresql` by clients to which jobs and results really travel, as they do through p4q and beanstalkd (psycopg,
binary arrays, `--clients` processes), and `postgresql-inside` by pgbench with eight clients and rows that the server makes and keeps to itself: no
worker gets its job, so it is no queue, but it is what the server alone can do.

Needs Debian's packages beanstalkd and postgresql and Python's psycopg[binary]. Prints a JSON line for each peer and round, and at the end the
medians and their ratios to p4q's.
"""
import argparse
import glob
import json
import multiprocessing
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

parser = argparse.ArgumentParser()
parser.add_argument("--p4q", required=True)
parser.add_argument("--seconds", type=float, default=10)
parser.add_argument("--rounds", type=int, default=1)
parser.add_argument("--bytes", type=int, default=100)
parser.add_argument("--batch", type=int, default=256)
parser.add_argument("--folder", default=".")
parser.add_argument("--peers", default="p4q,beanstalkd,postgresql,postgresql-inside")
parser.add_argument("--clients", type=int, default=4, help="of postgresql")
options = parser.parse_args()
RESULT = b"r" * 200


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def p4q(folder):
    done = subprocess.run(
        [options.p4q, "bench", "queue", "--json", "--tcp", "--folder", folder, "--payload-bytes", str(options.bytes), "--batch",
         str(options.batch), "--seconds", str(options.seconds)], capture_output=True, check=True)
    return json.loads(done.stdout)


class Beanstalk:
    """A connection that sends commands in batches and reads their answers."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb", 1 << 20)

    def tell(self, commands):
        self.socket.sendall(b"".join(commands))

    def answer(self):
        return self.file.readline().split()

    def reserve(self, count):
        """Takes up to `count` jobs: waits for the first for a second, and for no others."""
        self.tell([b"reserve-with-timeout 1\r\n"] + [b"reserve-with-timeout 0\r\n"] * (count - 1))
        found = []
        for _ in range(count):
            line = self.answer()
            if line[0] == b"RESERVED":
                self.file.read(int(line[2]) + 2)
                found.append(line[1])
        return found


def beanstalkd(folder):
    port = free_port()
    server = subprocess.Popen(["beanstalkd", "-l", "127.0.0.1", "-p", str(port), "-b", folder, "-f0", "-z", "1000000"])
    time.sleep(0.5)
    stop, done, put = threading.Event(), [0], [0]
    job = b"j" * options.bytes

    def produce():
        peer = Beanstalk(port)
        peer.tell([b"use jobs\r\n"])
        peer.answer()
        while not stop.is_set():
            if put[0] - done[0] > 16384:
                time.sleep(0.001)
                continue
            peer.tell([b"put 0 0 60 %d\r\n%s\r\n" % (len(job), job)] * options.batch)
            for _ in range(options.batch):
                assert peer.answer()[0] == b"INSERTED"
            put[0] += options.batch

    def work():
        peer = Beanstalk(port)
        peer.tell([b"use results\r\n", b"watch jobs\r\n", b"ignore default\r\n"])
        for _ in range(3):
            peer.answer()
        while not stop.is_set():
            ids = peer.reserve(options.batch)
            peer.tell([b"put 0 0 60 %d\r\n%s\r\ndelete %s\r\n" % (len(RESULT), RESULT, id) for id in ids])
            for _ in range(2 * len(ids)):
                peer.answer()

    def sink():
        peer = Beanstalk(port)
        peer.tell([b"watch results\r\n", b"ignore default\r\n"])
        for _ in range(2):
            peer.answer()
        while not stop.is_set():
            ids = peer.reserve(options.batch)
            peer.tell([b"delete %s\r\n" % id for id in ids])
            for _ in ids:
                peer.answer()
            done[0] += len(ids)

    threads = [threading.Thread(target=target, daemon=True) for target in (produce, work, sink)]
    for thread in threads:
        thread.start()
    time.sleep(min(2, options.seconds / 2))
    before, begin = done[0], time.monotonic()
    time.sleep(options.seconds)
    rate = (done[0] - before) / (time.monotonic() - begin)
    stop.set()
    for thread in threads:
        thread.join(10)
    server.terminate()
    server.wait()
    return {"jobs_per_second": round(rate)}


SCHEMA = """
CREATE TABLE job (id bigserial PRIMARY KEY, key text NOT NULL UNIQUE, payload bytea NOT NULL);
CREATE TABLE result (id bigint PRIMARY KEY, body bytea NOT NULL);
CREATE SEQUENCE name;
"""
SCRIPT = """
INSERT INTO job (key, payload) SELECT 'bench-' || nextval('name'), decode(repeat('6a', BYTES), 'hex') FROM generate_series(1, BATCH);
BEGIN;
WITH taken AS (DELETE FROM job WHERE id IN (SELECT id FROM job ORDER BY id FOR UPDATE SKIP LOCKED LIMIT BATCH) RETURNING id, payload)
INSERT INTO result SELECT id, decode(repeat('72', 200), 'hex') FROM taken;
COMMIT;
DELETE FROM result WHERE id IN (SELECT id FROM result ORDER BY id FOR UPDATE SKIP LOCKED LIMIT BATCH) RETURNING id, body;
"""


def postgresql_client(port, number, stop, done):
    """Puts a batch in, takes one and finishes it, takes the results of one, until it is told to stop. `done[number]`: results it has acknowledged."""
    import psycopg

    peer = psycopg.connect(host="127.0.0.1", port=port, user="race", dbname="postgres", autocommit=True, prepare_threshold=0)
    job, count = b"j" * options.bytes, 0

    def ask(text, *values):
        return peer.execute(text, values, binary=True)

    while not stop.is_set():
        keys = [f"bench-{number}-{count + i}" for i in range(options.batch)]
        count += options.batch
        ask("INSERT INTO job (key, payload) SELECT * FROM unnest(%b::text[], %b::bytea[]) ON CONFLICT (key) DO NOTHING",
            keys, [job] * options.batch)
        with peer.transaction():
            taken = ask("DELETE FROM job WHERE id IN (SELECT id FROM job ORDER BY id FOR UPDATE SKIP LOCKED LIMIT %b) RETURNING id, payload",
                        options.batch).fetchall()
            ask("INSERT INTO result SELECT * FROM unnest(%b::bigint[], %b::bytea[])", [id for id, _ in taken], [RESULT] * len(taken))
        # A sink's results are its own when it has stored them: until the commit, they come again if it dies.
        with peer.transaction():
            results = ask("DELETE FROM result WHERE id IN (SELECT id FROM result ORDER BY id FOR UPDATE SKIP LOCKED LIMIT %b) "
                          "RETURNING id, body", options.batch).fetchall()
        done[number] += len(results)


def postgresql(folder):
    return with_postgresql(folder, outside_clients)


def postgresql_inside(folder):
    return with_postgresql(folder, pgbench)


def outside_clients(folder, port, run, programs):
    stop, done = multiprocessing.Event(), multiprocessing.Array("q", options.clients, lock=False)
    clients = [multiprocessing.Process(target=postgresql_client, args=(port, number, stop, done)) for number in range(options.clients)]
    for client in clients:
        client.start()
    time.sleep(min(2, options.seconds / 2))
    before, begin = sum(done), time.monotonic()
    time.sleep(options.seconds)
    rate = (sum(done) - before) / (time.monotonic() - begin)
    stop.set()
    for client in clients:
        client.join()
    return rate


def pgbench(folder, port, run, programs):
    with open(f"{folder}/script.sql", "w") as file:
        file.write(SCRIPT.replace("BYTES", str(options.bytes)).replace("BATCH", str(options.batch)))
    os.chmod(f"{folder}/script.sql", 0o644)
    done = run(f"{programs}/pgbench", "-h", "127.0.0.1", "-p", str(port), "-U", "race", "-n", "-M", "prepared", "-c", "8", "-j", "1", "-T",
               str(max(1, round(options.seconds))), "-f", f"{folder}/script.sql", "postgres")
    rate = next(float(line.split()[2]) for line in done.stdout.decode().splitlines() if line.startswith("tps"))
    return rate * options.batch


def with_postgresql(folder, measure):
    programs = sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1]
    port = free_port()
    user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
    if user:
        shutil.chown(folder, "postgres")

    def run(*arguments, **more):
        return subprocess.run([*user, *arguments], check=True, cwd=folder, capture_output=True, **more)

    run(f"{programs}/initdb", "-D", f"{folder}/data", "-A", "trust", "-U", "race")
    server = [f"{programs}/pg_ctl", "-D", f"{folder}/data", "-w", "-l", f"{folder}/log"]
    run(*server, "-o", f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c synchronous_commit=on -c fsync=on "
        "-c shared_buffers=256MB -c max_wal_size=4GB", "start")
    try:
        run("psql", "-h", "127.0.0.1", "-p", str(port), "-U", "race", "-q", "-c", SCHEMA, "postgres")
        return {"jobs_per_second": round(measure(folder, port, run, programs))}
    finally:
        run(*server, "-m", "fast", "stop")


peers = {"p4q": p4q, "beanstalkd": beanstalkd, "postgresql": postgresql, "postgresql-inside": postgresql_inside}
rates = {name: [] for name in options.peers.split(",")}
for _ in range(options.rounds):
    for name in options.peers.split(","):
        folder = tempfile.mkdtemp(prefix=f"race-{name}-", dir=os.path.abspath(options.folder))
        os.chmod(folder, 0o755)
        try:
            begin = os.getloadavg()[0]
            result = peers[name](folder)
            rates[name].append(result["jobs_per_second"])
            print(json.dumps({"peer": name, "bytes": options.bytes, "batch": options.batch, "load": round(begin, 1), **result}), flush=True)
        except subprocess.CalledProcessError as error:
            sys.exit(f"{name}: {error}: {error.stderr.decode()}")
        finally:
            shutil.rmtree(folder, ignore_errors=True)
medians = {name: statistics.median(values) for name, values in rates.items()}
print(json.dumps({"medians": medians, "p4q_by": {
    name: round(medians["p4q"] / median, 2) for name, median in medians.items() if name != "p4q" and "p4q" in medians and median}}))
