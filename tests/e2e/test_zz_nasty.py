import sys, time
from acts import *
def test_j(run, origin, sink, tmp_path):
    more={"OTEL_LOG_LEVEL":"debug", "OTEL_INSTRUMENT_LOG_FILE":"/tmp/jump.log"}
    r = run([APPS/"threads","jumped",origin.port], more)
    print(r, len(origin.requests))
    print(len(sink.wait(1,5)))
    time.sleep(3)
    print(len(sink.spans))
