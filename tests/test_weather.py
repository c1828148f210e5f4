"""The providers of the weather: what they are asked, how their answers are read, and what goes wrong with them."""

import json
import logging
import time
import traceback
from datetime import UTC, datetime, timedelta

import pytest

from cameras.weather import (
    PROVIDERS,
    Condition,
    KeyMissing,
    KeyRefused,
    LimitReached,
    NonsenseAnswer,
    OpenMeteo,
    OpenWeather,
    ProviderSlow,
    ProviderUnreachable,
    WeatherError,
    ask,
    in_words,
)
from cameras.weather.answers import fact
from cameras.weather.asking import LONGEST_WAIT_S, retry_after_s
from cameras.weather.conditions import of_openweather, of_wmo
from tests import weather_server as said
from tests.weather_server import WeatherServer, in_background

KEY = "0123456789abcdef0123456789abcdef"
MAIN = {"open-meteo": "current", "openweather": "main"}
TEMPERATURE = {"open-meteo": "temperature_2m", "openweather": "temp"}
GOOD = {"open-meteo": said.OPEN_METEO, "openweather": said.OPENWEATHER}


@pytest.fixture(scope="module")
def _server():
    with in_background(server := WeatherServer()):
        yield server


@pytest.fixture
def server(_server):
    _server.answer = _server.key = None
    _server.asked.clear()
    return _server


@pytest.fixture(params=sorted(PROVIDERS))
def provider(request):
    return PROVIDERS[request.param]


def reading(provider, server, **kw):
    return ask(provider, 48.2082, 16.3738, key=KEY, base_url=server.url, **kw)


def test_open_meteo_is_asked_and_read_as_its_documentation_says(server):
    server.answer = 200, {"Content-Type": "application/json; charset=utf-8"}, said.OPEN_METEO
    found = ask(OpenMeteo(), 48.2082, 16.3738, base_url=server.url)
    assert server.asked == [
        (
            "/v1/forecast",
            {
                "latitude": "48.21",
                "longitude": "16.37",
                "current": "temperature_2m,relative_humidity_2m,precipitation,weather_code,cloud_cover,wind_speed_10m",
                "wind_speed_unit": "ms",
                "timeformat": "unixtime",
            },
        )
    ]
    assert (found.temperature_c, found.condition) == (13.3, Condition.RAIN)
    assert found.observed_at == datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
    facts = {"humidity_percent": 61, "clouds_percent": 100, "wind_m_s": 3.61, "precipitation_mm": 0.1}
    assert found.facts == facts


def test_openweather_is_asked_and_read_as_its_documentation_says(server):
    server.answer = 200, {}, said.OPENWEATHER
    found = reading(OpenWeather(), server)
    query = {"lat": "48.21", "lon": "16.37", "units": "metric", "appid": KEY}
    assert server.asked == [("/data/2.5/weather", query)]
    assert (found.temperature_c, found.condition) == (11.9, Condition.RAIN)
    assert found.observed_at == datetime(2026, 5, 4, 12, 5, tzinfo=UTC)
    facts = {"humidity_percent": 83, "clouds_percent": 83, "wind_m_s": 4.09, "precipitation_mm": 2.73}
    assert found.facts == facts


@pytest.mark.parametrize(
    ("status", "headers", "body", "error", "retry_after_s"),
    [
        (401, {}, said.OPENWEATHER_401, KeyRefused, None),
        (429, {}, said.OPENWEATHER_429, LimitReached, None),
        (429, {"Retry-After": "1800"}, said.OPENWEATHER_429, LimitReached, 1800),
        (429, {"Retry-After": "999999999999"}, b"", LimitReached, LONGEST_WAIT_S),
        (429, {"Retry-After": "soon"}, b"\xff{", LimitReached, None),
        (503, {"Retry-After": "60"}, b"<html>", ProviderUnreachable, 60),
        (400, {}, said.OPEN_METEO_400, NonsenseAnswer, None),
        (302, {"Location": "http://192.0.2.1/"}, b"", NonsenseAnswer, None),
        (200, {}, b"<!doctype html><title>Log in to the hotel's network</title>", NonsenseAnswer, None),
        (200, {}, b"", NonsenseAnswer, None),
        (200, {}, b"[" * 60_000, NonsenseAnswer, None),
        (200, {}, [], NonsenseAnswer, None),
        (200, {}, {}, NonsenseAnswer, None),
        (200, {}, {"current": None, "main": None}, NonsenseAnswer, None),
        ("dripping", 0, 0, ProviderSlow, None),
        ("silent", 0, 0, ProviderSlow, None),
        ("endless", 0, 0, NonsenseAnswer, None),
        ("torn", 0, 0, NonsenseAnswer, None),
        ("no_http", 0, 0, NonsenseAnswer, None),
    ],
)
def test_what_goes_wrong_is_typed_and_never_shows_the_key(
    server, provider, caplog, status, headers, body, error, retry_after_s
):
    server.answer = status if isinstance(status, str) else (status, headers, body)
    with caplog.at_level(logging.DEBUG), pytest.raises(error) as caught:
        reading(provider, server, deadline_s=0.4 if isinstance(status, str) else 10)
    assert type(caught.value) is error
    assert caught.value.retry_after_s == retry_after_s
    told = "".join(traceback.format_exception(caught.value)) + caplog.text
    assert caught.value.__cause__ is None
    assert KEY not in told
    assert "appid" not in told


def test_a_server_that_drips_is_left_at_the_deadline(server, provider):
    server.answer = "dripping"
    begun = time.monotonic()
    with pytest.raises(ProviderSlow):
        reading(provider, server, deadline_s=0.3)
    assert time.monotonic() - begun < 5


def test_a_port_where_nobody_listens_is_unreachable(provider):
    with pytest.raises(ProviderUnreachable):
        ask(provider, 48.2, 16.4, key=KEY, base_url="http://127.0.0.1:1")


@pytest.mark.parametrize(
    "value", [None, "13.3", True, float("nan"), float("inf"), 300.15, -120, 10**400, [1]]
)
def test_a_temperature_that_cannot_be_is_nonsense(provider, value):
    document = json.loads(json.dumps(GOOD[provider.name]))
    document[MAIN[provider.name]][TEMPERATURE[provider.name]] = value
    with pytest.raises(NonsenseAnswer):
        provider.reading(document)


@pytest.mark.parametrize("value", [None, "61", 61.5, -1, 100, 4711, 10**30])
def test_a_code_that_nobody_knows_is_nonsense(provider, value):
    document = json.loads(json.dumps(GOOD[provider.name]))
    owner = document["current"] if "current" in document else document["weather"][0]
    owner["weather_code" if "current" in document else "id"] = value
    with pytest.raises(NonsenseAnswer):
        provider.reading(document)


@pytest.mark.parametrize("value", [None, "2026-05-04T12:00", 0, 10**18, float("nan")])
def test_a_time_that_cannot_be_is_nonsense(provider, value):
    document = json.loads(json.dumps(GOOD[provider.name]))
    document.get("current", document)["time" if "current" in document else "dt"] = value
    with pytest.raises(NonsenseAnswer):
        provider.reading(document)


def test_what_is_only_good_to_know_may_be_missing_or_mad(provider):
    document = json.loads(json.dumps(GOOD[provider.name]))
    for part in ("wind", "clouds", "rain"):
        document.pop(part, None)
    for name in ("relative_humidity_2m", "humidity", "cloud_cover", "wind_speed_10m", "precipitation"):
        if name in document[MAIN[provider.name]]:
            document[MAIN[provider.name]][name] = "a lot"
    assert provider.reading(document).facts == {}


def test_every_code_of_the_providers_has_a_condition_with_words():
    assert {of_wmo(code) for code in range(100)} <= set(Condition)
    spots = {
        0: "clear",
        2: "partly",
        3: "clouds",
        45: "fog",
        56: "sleet",
        63: "rain",
        75: "snow",
        95: "thunder",
    }
    assert {code: of_wmo(code).value for code in spots} == spots
    spots = {
        210: "thunder",
        310: "drizzle",
        511: "sleet",
        601: "snow",
        741: "fog",
        761: "dust",
        800: "clear",
        804: "clouds",
    }
    assert {code: of_openweather(code).value for code in spots} == spots
    words = {in_words(condition) for condition in Condition}
    assert len(words) == len(Condition)
    assert in_words("a later release's") == "a later release's"


def test_openweather_is_not_asked_without_a_key(server):
    with pytest.raises(KeyMissing):
        ask(OpenWeather(), 48.2, 16.4, base_url=server.url)
    assert server.asked == []


def test_the_limits_of_open_meteo_are_read_from_its_words(server):
    server.answer = 429, {}, said.OPEN_METEO_429
    with pytest.raises(LimitReached) as caught:
        ask(OpenMeteo(), 48.2, 16.4, base_url=server.url)
    assert caught.value.retry_after_s == 3600


@pytest.mark.parametrize("value", [10**400, -(10**400), 1e308], ids=["large", "low", "float"])
def test_a_fact_beyond_all_numbers_is_left_out(value):
    assert fact({"x": value}, "x", 100) is None


@pytest.mark.parametrize("status", [429, 503])
def test_a_date_beyond_all_dates_says_nothing(server, status):
    for year in ("9" * 11, "9999"):
        server.answer = status, {"Retry-After": f"Fri, 31 Dec {year} 23:59:59 -1200"}, {}
        with pytest.raises(WeatherError) as caught:
            reading(PROVIDERS["open-meteo"], server)
        assert caught.value.retry_after_s in (None, LONGEST_WAIT_S)


def test_what_nobody_has_thought_of_is_nonsense_and_shows_no_key(server, monkeypatch):
    monkeypatch.setattr(OpenWeather, "reading", lambda provider, document: document[KEY])
    server.answer = 200, {}, said.OPENWEATHER
    with pytest.raises(NonsenseAnswer) as caught:
        reading(OpenWeather(), server)
    assert "KeyError" in str(caught.value)
    assert KEY not in "".join(traceback.format_exception(caught.value))


def test_retry_after_may_be_a_date():
    now = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
    assert retry_after_s("Mon, 04 May 2026 12:10:00 GMT", now) == 600
    assert retry_after_s("Mon, 04 May 2026 11:00:00 GMT", now) == 0
    assert retry_after_s("Mon, 04 May 2126 11:00:00 GMT", now) == LONGEST_WAIT_S
    assert retry_after_s("", now) is None
    assert timedelta(seconds=LONGEST_WAIT_S) == timedelta(days=1)


def test_every_error_has_a_code_and_words_of_its_own():
    kinds = WeatherError.__subclasses__()
    assert len({kind.code for kind in kinds}) == len(kinds)
    assert all(str(kind()).endswith((".", "?")) for kind in kinds)
