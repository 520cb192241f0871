"""Reads the server's metrics as Prometheus does: with the parser of its own client library, which refuses what
OpenMetrics does not allow. Prints one JSON object: each sample by its name and labels.

    metrics.py URL
"""

import json
import sys
import urllib.request

from prometheus_client.openmetrics.parser import text_string_to_metric_families

with urllib.request.urlopen(sys.argv[1], timeout=30) as answer:
    kind = answer.headers["Content-Type"]
    text = answer.read().decode()
if not kind.startswith("application/openmetrics-text; version=1.0.0"):
    raise SystemExit(f"not OpenMetrics: {kind}")
samples = {}
for family in text_string_to_metric_families(text):
    if not family.documentation:
        raise SystemExit(f"{family.name} says nothing of itself")
    for sample in family.samples:
        labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
        samples[f"{sample.name}{{{labels}}}"] = sample.value
print(json.dumps(samples))
