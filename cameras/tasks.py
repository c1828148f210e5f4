"""WHAT the capture pool does with a camera besides captures, and what the clock asks of cameras and sites."""

from __future__ import annotations

from typing import Any

from celery import shared_task

from cameras import connection, detection, observations, probing, shots, sites
from media_jobs import alarms, clock, runs
from media_jobs.kinds import kind
from media_jobs.tracked import Running

alarms.watch_for(sites.queues)


@kind("cameras.test_connection", limit_s=120)
def test_connection(running: Running) -> dict[str, Any]:
    return connection.run_test(running)


@kind("cameras.detect", limit_s=120)
def detect(running: Running) -> dict[str, Any]:
    return detection.run(running)


@kind("cameras.test_shot", limit_s=120)
def test_shot(running: Running) -> dict[str, Any]:
    return shots.run(running)


@kind("cameras.ask", limit_s=120)
def ask(running: Running) -> dict[str, Any]:
    return probing.ask(running)


@kind("cameras.fetch_weather", limit_s=120)
def fetch_weather(running: Running) -> dict[str, Any]:
    return observations.fetch(running)


@kind("cameras.check_weather_key", limit_s=60)
def check_weather_key(running: Running) -> dict[str, Any]:
    return observations.check_key(running)


@shared_task(name="cameras.weather")
@runs.entry
def weather() -> runs.Result:
    return {"places": observations.request(clock.now())}


@shared_task(name="cameras.probe")
@runs.entry
def probe() -> runs.Result:
    return {"asked": probing.request(clock.now())}
