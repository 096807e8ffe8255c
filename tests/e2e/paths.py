# SPDX-License-Identifier: Apache-2.0
"""Where the built program lies: OTEL_TEST_BUILD, or build/ beside tests/."""
import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("OTEL_TEST_BUILD", ROOT / "build")).resolve()
LAUNCHER = BUILD / "otel-instrument"
PRELOAD = BUILD / "libotel-preload.so"
RELAY = BUILD / "otel-relay"
APPS = BUILD / "tests" / "apps"
