"""docs/operations.md names every metric, and no other."""

import re
from pathlib import Path

from prometheus_client import REGISTRY

import codexsys_api.observe
import codexsys_wiring.metrics

PAGE = Path(__file__).parents[3] / "docs/operations.md"
MODULES = (codexsys_api.observe, codexsys_wiring.metrics)


def test_every_metric_of_the_page_exists_and_the_other_way_round() -> None:
    assert MODULES
    named = set(re.findall(r"\bcodexsys_[a-z_]+", PAGE.read_text()))
    known = {
        metric.name + ("_total" if metric.type == "counter" else "")
        for metric in REGISTRY.collect()
        if metric.name.startswith("codexsys_")
    }
    assert named == known


def test_labels_of_the_page_are_the_metrics_own() -> None:
    for name, labels in re.findall(r"`(codexsys_[a-z_]+)\{([a-z_,]+)\}`", PAGE.read_text()):
        metric = REGISTRY._names_to_collectors[name]
        assert labels.split(",") == list(metric._labelnames), name  # type: ignore[attr-defined]
