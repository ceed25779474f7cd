"""How fast a worker relays what waits."""

from __future__ import annotations

from bench import baselines
from bench.env import env, peak_megabytes, peer, valkey
from bench.rows import Count, Row, measure_pairs

SHAPES = ((2000, 400), (2000, 50), (2000, 2000))
"""Messages, and the people who sent them."""
WORKER_THREADS = 8
"""Of each worker, where several are measured against one."""
MOST_WORKERS = 4


def measure_at_0_ms(count: int) -> list[Row | Count]:
    """Against the simplest program there is."""
    return [_measure_at_0_ms(count, messages, people) for messages, people in SHAPES]


def _measure_at_0_ms(count: int, messages: int, people: int) -> Row:
    with valkey() as redis_url, peer(0) as url, env(url, redis_url) as built:
        built.drain(people, 1, "warm")
        ours, theirs = measure_pairs(
            count,
            lambda n: built.drain(people, messages // people, f"run-{n}"),
            lambda _: baselines.run_bare_loop(url, 2000),
        )
    name = f"drain at 0 ms, {people} people / a bare loop of requests"
    if people == SHAPES[0][1]:
        return Row(name, ours, theirs, "msg/s", "at least", 0.6)
    return Row(name, ours, theirs, "msg/s")


def measure_at_100_ms(count: int) -> list[Row | Count]:
    """Against what most Python programs with a queue do: a job, forked, for each message."""
    return [row for shape in SHAPES for row in _measure_at_100_ms(count, *shape)]


def _measure_at_100_ms(count: int, messages: int, people: int) -> list[Row | Count]:
    with (
        valkey() as redis_url,
        valkey() as other_redis,
        peer(0.1) as url,
        env(url, redis_url) as built,
    ):
        built.drain(people, 1, "warm")
        ours, theirs = measure_pairs(
            count,
            lambda n: built.drain(people, messages // people, f"run-{n}"),
            lambda _: baselines.run_forked_jobs(url, other_redis, 15),
        )
        megabytes = peak_megabytes(built.workers[0])
    name = f"drain at 100 ms, {people} people / a forked RQ job each"
    if people != SHAPES[0][1]:
        return [Row(name, ours, theirs, "msg/s")]
    return [
        Row(name, ours, theirs, "msg/s", "at least", 60),
        Count("  peak memory of that worker", megabytes, "MB", "at most", 120),
    ]


def measure_more_workers(count: int) -> list[Row | Count]:
    """Two and four worker processes against one."""
    return [_measure_more_workers(count, workers) for workers in (2, MOST_WORKERS)]


def _measure_more_workers(count: int, workers: int) -> Row:
    with (
        valkey() as redis_url,
        valkey() as other_redis,
        peer(0.1) as url,
        env(url, redis_url, workers=workers, threads=WORKER_THREADS) as several,
        env(url, other_redis, threads=WORKER_THREADS) as one,
    ):
        for built in (several, one):
            built.drain(64, 1, "warm")
        ours, theirs = measure_pairs(
            count,
            lambda n: several.drain(64, 10, f"run-{n}"),
            lambda n: one.drain(64, 3, f"run-{n}"),
        )
    name = f"{workers} workers at 100 ms, {WORKER_THREADS} threads each / one"
    if workers == MOST_WORKERS:
        return Row(name, ours, theirs, "msg/s", "at least", 3.2)
    return Row(name, ours, theirs, "msg/s")
