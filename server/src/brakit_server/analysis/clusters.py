"""Views of a graph: endpoints put together, what is around one node, what is in one cluster."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal, get_args

import msgspec

from brakit_server.details import ClusterInfo, EdgeStats, Graph, GraphEdge, GraphNode, NodeStats

Grouping = Literal["path", "auth-boundary", "data-domain", "service"]
GROUPINGS: tuple[Grouping, ...] = get_args(Grouping)
LARGE = 15
"""Endpoints of a path from which on the next segment is looked at too."""

_SKIPPED = re.compile(r"api|v[1-4]")


def clusters(graph: Graph, grouping: Grouping) -> Graph:
    """Endpoints and jobs by cluster; tables and hosts as they are, with the edges of all endpoints of a cluster as one."""
    members = _members(graph, grouping)
    by_node = {node.id: key for key, nodes in members.items() for node in nodes}
    edges: dict[tuple[str, str, str], GraphEdge] = {}
    for edge in graph.edges:
        source, target = (f"cluster:{by_node[id]}" if id in by_node else id for id in (edge.source, edge.target))
        if source != target:
            new = msgspec.structs.replace(
                edge, id=f"{source} -> {target}", source=source, target=target, patterns=list(edge.patterns)
            )
            known = edges.setdefault((source, target, edge.type), new)
            if known is not new:
                _merge(known, edge)
    infos = [
        ClusterInfo(id=f"cluster:{key}", label=key, children=[node.id for node in nodes], stats=_together(nodes))
        for key, nodes in sorted(members.items())
    ]
    others = [node for node in graph.nodes if node.id not in by_node]
    return msgspec.structs.replace(graph, nodes=others, edges=list(edges.values()), clusters=infos)


def around(graph: Graph, node: str) -> Graph | None:
    """A node, its edges and their other ends; None where it is not there."""
    edges = [edge for edge in graph.edges if node in (edge.source, edge.target)]
    return _only(graph, {node}, edges) if any(each.id == node for each in graph.nodes) else None


def inside(graph: Graph, cluster: str, grouping: Grouping) -> Graph | None:
    """The endpoints of a cluster with what they use; None where it is not there."""
    nodes = _members(graph, grouping).get(cluster.removeprefix("cluster:"))
    if nodes is None:
        return None
    ids = {node.id for node in nodes}
    return _only(graph, ids, [edge for edge in graph.edges if edge.source in ids or edge.target in ids])


def _only(graph: Graph, ids: set[str], edges: list[GraphEdge]) -> Graph:
    shown = ids | {id for edge in edges for id in (edge.source, edge.target)}
    return msgspec.structs.replace(graph, nodes=[node for node in graph.nodes if node.id in shown], edges=edges)


def _members(graph: Graph, grouping: Grouping) -> dict[str, list[GraphNode]]:
    nodes = [node for node in graph.nodes if node.type in ("endpoint", "job")]
    if grouping == "auth-boundary":
        return _by(nodes, lambda node: "authenticated" if node.annotations.has_auth else "unauthenticated")
    if grouping == "service":
        return _by(nodes, lambda node: node.service or "unknown")
    if grouping == "data-domain":
        tables: dict[str, set[str]] = {}
        for edge in graph.edges:
            if edge.target.startswith("table:"):
                tables.setdefault(edge.source, set()).add(edge.target.removeprefix("table:"))
        return _by(nodes, lambda node: "+".join(sorted(tables.get(node.id, ()))) or "no-db")
    found: dict[str, list[GraphNode]] = {}
    for key, group in _by(nodes, lambda node: _segment(node, 0)).items():
        found |= {key: group} if len(group) <= LARGE else _by(group, _two_segments)
    return found


def _by(nodes: list[GraphNode], key: Callable[[GraphNode], str]) -> dict[str, list[GraphNode]]:
    found: dict[str, list[GraphNode]] = {}
    for node in nodes:
        found.setdefault(key(node), []).append(node)
    return found


def _two_segments(node: GraphNode) -> str:
    following = _segment(node, 1, "")
    return f"{_segment(node, 0)}/{following}" if following else _segment(node, 0)


def _segment(node: GraphNode, index: int, missing: str = "root") -> str:
    if node.type == "job":
        return "jobs" if index == 0 else missing
    segments = [part for part in node.label.partition(" ")[2].split("/") if part]
    while len(segments) > 1 and _SKIPPED.fullmatch(segments[0]):
        segments.pop(0)
    return segments[index] if len(segments) > index else missing


def _merge(known: GraphEdge, edge: GraphEdge) -> None:
    count = known.stats.frequency + edge.stats.frequency
    known.stats = EdgeStats(
        frequency=count,
        avg_latency_ms=(known.stats.avg_latency_ms * known.stats.frequency + edge.stats.avg_latency_ms * edge.stats.frequency)
        / count,
        first_seen_at=min(known.stats.first_seen_at, edge.stats.first_seen_at),
        last_seen_at=max(known.stats.last_seen_at, edge.stats.last_seen_at),
    )
    known.patterns = list(dict.fromkeys([*known.patterns, *edge.patterns]))[:10]
    known.annotations = msgspec.structs.replace(
        known.annotations, has_issue=known.annotations.has_issue or edge.annotations.has_issue
    )


def _together(nodes: list[GraphNode]) -> NodeStats:
    stats = [node.stats for node in nodes]
    count = sum(each.request_count for each in stats)
    return NodeStats(
        request_count=count,
        avg_latency_ms=sum(each.avg_latency_ms * each.request_count for each in stats) / count,
        error_rate=sum(each.error_rate * each.request_count for each in stats) / count,
        avg_query_count=sum(each.avg_query_count * each.request_count for each in stats) / count,
        first_seen_at=min(each.first_seen_at for each in stats),
        last_seen_at=max(each.last_seen_at for each in stats),
        per_minute=sum(each.per_minute for each in stats),
    )
