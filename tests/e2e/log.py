# SPDX-License-Identifier: Apache-2.0
"""Our own messages, as a test asked for them, and what they say became of the spans."""
import re

LINE = re.compile(r"otel-instrument\[(\d+)\]: (error|warn|info|debug): (.*)")
OUTCOMES = {
    "spans taken from processes": "taken",
    "spans delivered": "delivered",
    "spans rejected by the collector (partial success)": "rejected",
    "spans lost: collector refused them": "refused",
    "spans lost: not delivered in time": "late",
    "spans lost: connection failed for good": "failed",
    "spans dropped: queue full": "queue",
    "spans dropped: out of memory": "memory",
    "spans dropped: request too large": "large",
    "spans dropped: no usable endpoint": "no endpoint",
    "spans dropped: undelivered at the end": "left",
    "spans dropped inside the processes": "in process",
}


class Log:
    def __init__(self, path, level="debug"):
        self.path = path
        self.env = {"OTEL_LOG_LEVEL": level, "OTEL_INSTRUMENT_LOG_FILE": str(path)}

    @property
    def text(self):
        return self.path.read_text() if self.path.exists() else ""

    @property
    def lines(self):
        """(level, text) of each; there is nothing else in the file."""
        found = []
        for line in self.text.splitlines():
            match = LINE.fullmatch(line)
            assert match, line
            found.append((match[2], match[3]))
        return found

    def outcomes(self):
        """{word: spans} by the consumers that have ended: whatever they took has ended in exactly one way."""
        sums = {}
        for level, text in self.lines:
            name, _, number = text.rpartition(": ")
            if level == "info" and name in OUTCOMES:
                sums[OUTCOMES[name]] = sums.get(OUTCOMES[name], 0) + int(number)
        rest = {name: count for name, count in sums.items() if name not in ("taken", "in process")}
        assert sums.get("taken", 0) == sum(rest.values()), sums
        return {name: count for name, count in sums.items() if name != "taken"}
