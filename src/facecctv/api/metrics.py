"""Counters in the text format of Prometheus; a few dozen lines instead of a dependency."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable

BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Seconds."""

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """What `/metrics` shows. For one event loop; not for threads."""

    def __init__(self) -> None:
        self._requests: dict[tuple[str, str, int], int] = {}
        self._durations: dict[str, list[int]] = {}
        self._seconds: dict[str, float] = {}
        self._gauges: list[tuple[str, str, Callable[[], float]]] = []

    def gauge(self, name: str, meaning: str, value: Callable[[], float]) -> None:
        """Adds a value that is asked for when shown; the name may carry labels."""
        self._gauges.append((name, meaning, value))

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """One answered request. `route` is a template, never an address as sent."""
        key = (method, route, status)
        self._requests[key] = self._requests.get(key, 0) + 1
        buckets = self._durations.setdefault(route, [0] * (len(BUCKETS) + 1))
        buckets[bisect_left(BUCKETS, seconds)] += 1
        self._seconds[route] = self._seconds.get(route, 0.0) + seconds

    def text(self) -> str:
        """Everything, in the exposition format."""
        lines = [
            "# HELP facecctv_requests_total Requests answered.",
            "# TYPE facecctv_requests_total counter",
        ]
        for (method, route, status), count in sorted(self._requests.items()):
            labels = f'method="{method}",route="{route}",status="{status}"'
            lines.append(f"facecctv_requests_total{{{labels}}} {count}")
        name = "facecctv_request_seconds"
        lines += [
            f"# HELP {name} From the request's head to the reply's end.",
            f"# TYPE {name} histogram",
        ]
        for route, buckets in sorted(self._durations.items()):
            total = 0
            for edge, count in zip((*map(str, BUCKETS), "+Inf"), buckets, strict=True):
                total += count
                lines.append(f'{name}_bucket{{route="{route}",le="{edge}"}} {total}')
            lines.append(f'{name}_sum{{route="{route}"}} {self._seconds[route]:.6f}')
            lines.append(f'{name}_count{{route="{route}"}} {total}')
        described = set()
        for full, meaning, value in self._gauges:
            bare = full.partition("{")[0]
            if bare not in described:
                described.add(bare)
                lines += [f"# HELP {bare} {meaning}", f"# TYPE {bare} gauge"]
            lines.append(f"{full} {value():g}")
        return "\n".join(lines) + "\n"
