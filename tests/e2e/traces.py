# SPDX-License-Identifier: Apache-2.0
"""Whole traces: one root, no orphan, no child before its parent, no span twice."""
from collections import defaultdict
from urllib.parse import urlsplit


def by_trace(spans):
    traces = defaultdict(list)
    for span in spans:
        traces[span.trace_id].append(span)
    return traces


def children_of(spans):
    children = defaultdict(list)
    for span in spans:
        children[span.parent_id].append(span)
    return children


def check_trace(spans, outside=""):
    """All spans of one trace; outside: the span id of a client that is not traced. Return: its root."""
    known = {span.span_id: span for span in spans}
    assert len(known) == len(spans), "a span id twice"
    assert len({span.trace_id for span in spans}) == 1
    assert outside not in known
    roots = [span for span in spans if span.parent_id == outside]
    told = [(span.resource["service.name"], span.kind, span.parent_id, span.attributes) for span in spans]
    assert len(roots) == 1, told
    for span in spans:
        if span is roots[0]:
            continue
        assert span.parent_id in known, (span, "has a parent that is not there", told)
        assert span.start >= known[span.parent_id].start, (span, "begins before its parent", known[span.parent_id])
    return roots[0]


def shape(spans, root):
    """(service, kind, [children by start]) of a trace, for comparison."""
    children = children_of(spans)

    def of(span):
        below = sorted(children[span.span_id], key=lambda child: child.start)
        return (f"{span.resource['service.name']} {span.kind}", *(of(child) for child in below))
    return of(root)


def path_of(span):
    """What was asked for, whoever tells it."""
    return span.attributes.get("url.path") or urlsplit(span.attributes["url.full"]).path


def chain(*services):
    """The shape of a request that went straight through; a name ends in * when that service only asks, + when it only answers."""
    inner = ()
    for name in reversed(services):
        if not name.endswith("+"):
            inner = ((f"{name.rstrip('*')} CLIENT", *inner),)
        if not name.endswith("*"):
            inner = ((f"{name.rstrip('+')} SERVER", *inner),)
    return inner[0]
