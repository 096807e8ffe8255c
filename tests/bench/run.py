#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What we cost, against no preload and an empty preload, in one run.

    run.py BUILD_DIR [--quick] [--gate]

Times are medians of interleaved runs; ratios are taken within a round, because machines are noisy.
Instructions come from callgrind (difference of two counts of operations) and are what --gate holds
against tests/bench/gates.json.
"""
import argparse
import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent


class Bench:
    def __init__(self, build, quick, collector):
        self.build = pathlib.Path(build).resolve()
        self.quick = quick
        self.tools = self.build / "tests" / "bench"
        self.host = str(self.tools / "bench-host")
        self.variants = {
            "none": {},
            "empty": {"LD_PRELOAD": str(self.tools / "empty.so")},
            "ours": {
                "LD_PRELOAD": str(self.build / "libotel-preload.so"),
                "OTEL_TRACES_EXPORTER": "otlp",
                "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector}",
                "OTEL_INSTRUMENT_RELAY_LINGER": "1000",
            },
        }

    def env(self, variant):
        env = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "LD_"))}
        env.update(self.variants[variant])
        return env

    def run(self, variant, mode, count, port):
        out = subprocess.run([self.host, mode, str(count), str(port)], env=self.env(variant), check=True,
                             stdout=subprocess.PIPE, text=True).stdout
        wall, cpu = out.split()
        return float(wall), float(cpu)

    def times(self, mode, count, rounds, port):
        """Median wall and processor ns per operation, and ratio to 'none' within each round."""
        samples = {v: [] for v in self.variants}
        names = list(self.variants)
        for r in range(rounds):
            for v in names[r % 3:] + names[:r % 3]:
                samples[v].append(self.run(v, mode, count, port))
        result = {}
        for v in names:
            result[v] = {
                "wall_ns": round(statistics.median(s[0] for s in samples[v]), 1),
                "cpu_ns": round(statistics.median(s[1] for s in samples[v]), 1),
                "ratio": round(statistics.median(s[0] / n[0] for s, n in zip(samples[v], samples["none"])), 3),
            }
        return result

    def instructions(self, variant, mode, count, port):
        with tempfile.TemporaryDirectory() as folder:
            out = os.path.join(folder, "callgrind")
            subprocess.run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "--trace-children=no",
                            self.host, mode, str(count), str(port)],
                           env=self.env(variant), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            for line in open(out, encoding="utf-8"):
                if line.startswith(("totals:", "summary:")):
                    return int(line.split()[1])
        raise SystemExit("callgrind printed no total")

    def instructions_per_op(self, mode, port):
        result = {}
        for v in self.variants:
            small, large = (self.instructions(v, mode, n, port) for n in (500, 1500))
            result[v] = round((large - small) / 1000, 1)
        return result

    def curl_loop(self, port):
        """A shell loop of short curl runs: seconds per variant, and ours to empty within each round."""
        runs, rounds = (20, 5) if self.quick else (50, 20)
        loop = f'i=0; while [ $i -lt {runs} ]; do curl -s -o /dev/null http://127.0.0.1:{port}/; i=$((i+1)); done'
        samples = {v: [] for v in self.variants}
        names = list(self.variants)
        for r in range(rounds):
            for v in names[r % 3:] + names[:r % 3]:
                begin = time.monotonic()
                subprocess.run(["sh", "-c", loop], env=self.env(v), check=True)
                samples[v].append((time.monotonic() - begin) / runs)
        result = {v: round(statistics.median(samples[v]) * 1e3, 2) for v in names}
        result["ours_to_empty"] = round(statistics.median(o / e for o, e in zip(samples["ours"], samples["empty"])), 3)
        result["runs"] = runs * rounds
        return result

    def startup(self):
        rounds = 400 if self.quick else 2000
        preloads = ["none", self.variants["empty"]["LD_PRELOAD"], self.variants["ours"]["LD_PRELOAD"]]
        out = subprocess.run([str(self.tools / "bench-spawn"), str(rounds), "/bin/true", *preloads], check=True,
                             stdout=subprocess.PIPE, text=True, env=self.env("none")).stdout
        result = {}
        for name, line in zip(self.variants, out.splitlines()):
            _, micros, ratio = line.rsplit(" ", 2)
            result[name] = {"us": float(micros), "ratio": float(ratio)}
        result["ours_to_empty"] = round(result["ours"]["us"] / result["empty"]["us"], 3)
        return result


@contextlib.contextmanager
def server(tools):
    """A bench-server of our own. Yields its port."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "LD_"))}
    process = subprocess.Popen([str(tools / "bench-server")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                               env=env)
    try:
        yield int(process.stdout.readline())
    finally:
        process.stdin.close()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:  # it serves a connection that nobody closes
            process.kill()
            process.wait()


def report(results):
    titles = {"write": "write(2) to a file, not tracked", "get": "keep-alive GET, one CLIENT span each",
              "body-send": "send(2) inside a tracked body", "body-recv": "recv(2) inside a tracked body"}
    print(f"\n{'':38}{'no preload':>14}{'empty preload':>15}{'otel-instrument':>17}")
    for mode, title in titles.items():
        times, counts = results["times"][mode], results["instructions"][mode]
        print(f"{title}")
        print(f"{'  wall ns':38}" + "".join(f"{times[v]['wall_ns']:>{w}}" for v, w in zip(times, (14, 15, 17))))
        print(f"{'  processor ns':38}" + "".join(f"{times[v]['cpu_ns']:>{w}}" for v, w in zip(times, (14, 15, 17))))
        print(f"{'  ratio of wall time, same round':38}" +
              "".join(f"{times[v]['ratio']:>{w}}" for v, w in zip(times, (14, 15, 17))))
        print(f"{'  instructions (user space)':38}" + "".join(f"{counts[v]:>{w}}" for v, w in zip(counts, (14, 15, 17))))
    rate = {v: round(1e9 / results["times"]["get"][v]["wall_ns"]) for v in ("none", "empty", "ours")}
    print(f"{'requests/s of that client':38}{rate['none']:>14}{rate['empty']:>15}{rate['ours']:>17}")
    start = results["startup"]
    print(f"{'start-up of /bin/true, microseconds':38}{start['none']['us']:>14}{start['empty']['us']:>15}"
          f"{start['ours']['us']:>17}   = {start['ours_to_empty']} x empty")
    loop = results["curl_loop"]
    print(f"{'one curl of ' + str(loop['runs']) + ' in a shell loop, ms':38}{loop['none']:>14}{loop['empty']:>15}{loop['ours']:>17}"
          f"   = {loop['ours_to_empty']} x empty")


def gate(results):
    """Instruction counts are repeatable: more than the gate is a regression."""
    gates = json.loads((HERE / "gates.json").read_text())
    failed = 0
    for mode, most in gates["extra_instructions"].items():
        extra = results["instructions"][mode]["ours"] - results["instructions"][mode]["empty"]
        verdict = "ok" if extra <= most else "TOO MANY"
        failed += extra > most
        print(f"gate {mode}: {extra:.0f} instructions more than an empty preload, at most {most}: {verdict}")
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build")
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--gate", action="store_true", help="instruction counts only, against gates.json")
    args = parser.parse_args()
    tools = pathlib.Path(args.build).resolve() / "tests" / "bench"
    # The collector only has to take what it is sent.
    with server(tools) as port, server(tools) as collector:
        bench = Bench(args.build, args.quick, collector)
        modes = ("write", "get", "body-send", "body-recv")
        results = {"instructions": {m: bench.instructions_per_op(m, port) for m in modes}}
        if not args.gate:
            rounds = 5 if args.quick else 21
            counts = {"write": 200000, "get": 5000, "body-send": 20000, "body-recv": 50000}
            results["times"] = {m: bench.times(m, counts[m], rounds, port) for m in modes}
            results["startup"] = bench.startup()
            results["curl_loop"] = bench.curl_loop(port)
            report(results)
        return 1 if gate(results) else 0


if __name__ == "__main__":
    sys.exit(main())
