"""The Grafana dashboard and the Prometheus settings speak of metrics that there are."""

import json
import re
from itertools import chain
from pathlib import Path
from typing import Any, cast

import yaml

from actors.generator import Generator
from actors.training.figures import GAUGES, TAG
from configs.schema import WatchSettings
from serve.adapter_metrics import AdapterMetrics
from serve.background import Background
from serve.metrics import Metrics
from serve.swap import Swap
from serve.watch import Watch

DEPLOY = Path(__file__).parents[2] / "cluster" / "deploy"
BOARD: dict[str, Any] = json.loads((DEPLOY / "grafana" / "palimpsest.json").read_text())
METRIC = re.compile(r"\b(?:ray_)?(?:palimpsest_|vllm:)[a-z0-9_]+")


def exported() -> set[str]:
    """Names of all series that a server and a training show."""
    metrics, generator = Metrics("m"), cast(Generator, None)
    watch = Watch(WatchSettings(), generator, None, Background())
    metrics.also(AdapterMetrics(Swap(Path("none"), generator, None, watch), watch))
    kinds = re.findall(r"^# TYPE (\S+) (\S+)$", metrics.text().decode(), re.MULTILINE)
    names = {
        f"{name}{end}" for name, kind in kinds for end in (("_bucket",) if kind == "histogram" else ("",))
    }
    return names | {f"ray_{name}" for name, _, _ in GAUGES.values()}


def test_every_metric_of_the_dashboard_is_exported_and_every_training_metric_is_shown() -> None:
    panels = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
    asked = [target["expr"] for panel in panels for target in panel["targets"]]
    named = set(chain.from_iterable(map(METRIC.findall, asked)))
    assert all(METRIC.search(expression) for expression in asked)
    assert named <= exported(), named - exported()
    assert {name for name, _, _ in GAUGES.values()} <= named
    assert all(panel["description"] and panel["datasource"]["uid"] == "${datasource}" for panel in panels)
    variables = {one["name"]: one for one in BOARD["templating"]["list"]}
    assert variables.keys() == {"datasource", TAG}


def test_panels_have_places_of_their_own() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in BOARD["panels"]:
        at = panel["gridPos"]
        squares = {
            (x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])
        }
        assert not squares & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= squares
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])


def test_prometheus_asks_ray_and_the_server() -> None:
    tree = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
    jobs = {job["job_name"]: job for job in tree["scrape_configs"]}
    assert jobs["ray"]["file_sd_configs"][0]["files"] == ["/tmp/ray/prom_metrics_service_discovery.json"]
    assert jobs["palimpsest"]["static_configs"][0]["targets"] == ["127.0.0.1:8000"]
    assert all(job["honor_labels"] for job in jobs.values())
    for name in ("palimpsest.yml", "datasource.yml"):
        assert yaml.safe_load((DEPLOY / "grafana" / "provisioning" / name).read_text())["apiVersion"] == 1
