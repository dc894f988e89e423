"""Reads /metrics with Prometheus' own parser and prints what is there as JSON: {"name": [[labels, value], ...]} of samples.

    scrape.py URL...                    the samples of all of them
    scrape.py --expect FILE... URL...   also: every p4q_ and process_ metric that rules or dashboards name must be shown by one of them
    scrape.py --files FOLDER            the files of deploy/operations can be read, without any URL
"""
import configparser
import json
import pathlib
import re
import sys
import urllib.request

import yaml
from prometheus_client.parser import text_string_to_metric_families


def scrape(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4"), answer.headers["Content-Type"]
        text = answer.read().decode()
    families = list(text_string_to_metric_families(text))
    names = [family.name for family in families]
    assert len(names) == len(set(names)), "a metric is there twice"
    seen = set()
    for family in families:
        assert family.type != "unknown", f"{family.name} has no type"
        assert family.documentation, f"{family.name} has no help"
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in seen, f"{key} is there twice"
            seen.add(key)
            if family.type == "counter":
                assert sample.value >= 0 and sample.name.endswith("_total"), key
        if family.type == "histogram":
            check_histogram(family)
    return [sample for family in families for sample in family.samples]


def check_histogram(family):
    """Buckets grow, and the last one is the count."""
    series = {}
    for sample in family.samples:
        labels = tuple(sorted((name, value) for name, value in sample.labels.items() if name != "le"))
        series.setdefault(labels, []).append(sample)
    for samples in series.values():
        buckets = [(float(sample.labels["le"]), sample.value) for sample in samples if sample.name.endswith("_bucket")]
        count = [sample.value for sample in samples if sample.name.endswith("_count")]
        assert buckets == sorted(buckets) and buckets[-1] == (float("inf"), count[0]), family.name
        assert [value for _, value in buckets] == sorted(value for _, value in buckets), family.name


def expressions(path):
    """The PromQL in a file of rules or a dashboard."""
    text = pathlib.Path(path).read_text()
    if path.endswith(".json"):
        return [target["expr"] for panel in json.loads(text)["panels"] for target in panel["targets"]]
    return [rule["expr"] for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]


def named(path):
    names = set()
    for expression in expressions(path):
        names |= set(re.findall(r"\b(?:p4q|process)_[a-z0-9_]+", re.sub(r'"[^"]*"', '""', expression)))
    return names


def check_files(folder):
    seen = []
    for path in sorted(pathlib.Path(folder).iterdir()):
        seen.append(path.name)
        if path.suffix in (".yaml", ".yml"):
            assert list(yaml.safe_load_all(path.read_text())), path
        elif path.suffix == ".json":
            panels = json.loads(path.read_text())["panels"]
            assert len({panel["id"] for panel in panels}) == len(panels), path
        elif path.suffix in (".service", ".timer"):
            unit = configparser.ConfigParser(strict=False, interpolation=None)
            unit.optionxform = str
            unit.read_string(path.read_text())
            assert "Unit" in unit and ("Service" in unit or "Timer" in unit), path
    return seen


def main(arguments):
    if arguments[0] == "--files":
        print(json.dumps({"files": check_files(arguments[1])}))
        return
    files = []
    if arguments[0] == "--expect":
        files = [argument for argument in arguments[1:] if "://" not in argument]
    samples = [sample for url in arguments if "://" in url for sample in scrape(url)]
    shown = {sample.name for sample in samples}
    for path in files:
        missing = named(path) - shown
        assert not missing, f"{path} names metrics that nobody shows: {sorted(missing)}"
    found = {}
    for sample in samples:
        found.setdefault(sample.name, []).append([sample.labels, sample.value if sample.value != float("inf") else 1e308])
    print(json.dumps(found))


main(sys.argv[1:])
