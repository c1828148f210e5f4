"""A server that speaks as the providers of the weather do, and misbehaves on command. It counts what it is asked."""

import asyncio
import json
import time
from urllib.parse import parse_qs, urlsplit

from timelapser.demo.background import InBackground

# Answers in the shapes of the providers' documentation (open-meteo.com/en/docs, openweathermap.org/current).
OPEN_METEO = {
    "latitude": 48.2,
    "longitude": 16.38,
    "generationtime_ms": 0.0879764556884766,
    "utc_offset_seconds": 0,
    "timezone": "GMT",
    "timezone_abbreviation": "GMT",
    "elevation": 171.0,
    "current_units": {
        "time": "unixtime",
        "interval": "seconds",
        "temperature_2m": "°C",
        "relative_humidity_2m": "%",
        "precipitation": "mm",
        "weather_code": "wmo code",
        "cloud_cover": "%",
        "wind_speed_10m": "m/s",
    },
    "current": {
        "time": 1777896000,
        "interval": 900,
        "temperature_2m": 13.3,
        "relative_humidity_2m": 61,
        "precipitation": 0.10,
        "weather_code": 61,
        "cloud_cover": 100,
        "wind_speed_10m": 3.61,
    },
}
OPENWEATHER = {
    "coord": {"lon": 16.37, "lat": 48.21},
    "weather": [
        {"id": 501, "main": "Rain", "description": "moderate rain", "icon": "10d"},
        {"id": 701, "main": "Mist", "description": "mist", "icon": "50d"},
    ],
    "base": "stations",
    "main": {
        "temp": 11.94,
        "feels_like": 11.35,
        "temp_min": 10.79,
        "temp_max": 12.6,
        "pressure": 1015,
        "humidity": 83,
        "sea_level": 1015,
        "grnd_level": 933,
    },
    "visibility": 10000,
    "wind": {"speed": 4.09, "deg": 121, "gust": 3.47},
    "rain": {"1h": 2.73},
    "clouds": {"all": 83},
    "dt": 1777896300,
    "sys": {"type": 1, "id": 6878, "country": "AT", "sunrise": 1777865700, "sunset": 1777918900},
    "timezone": 7200,
    "id": 2761369,
    "name": "Vienna",
    "cod": 200,
}
OPENWEATHER_401 = {
    "cod": 401,
    "message": "Invalid API key. Please see https://openweathermap.org/faq#error401 for more info.",
}
OPENWEATHER_429 = {
    "cod": 429,
    "message": "Your account is temporary blocked due to exceeding of requests limitation of your subscription "
    "type. Please choose the proper subscription https://openweathermap.org/price",
}
OPEN_METEO_400 = {
    "error": True,
    "reason": "Latitude must be in range of -90 to 90°. Given: 91.0.",
}
OPEN_METEO_429 = {
    "error": True,
    "reason": "Hourly API request limit exceeded. Please try again in the next hour.",
}


def now_at(document, moment, **changes):
    """The same answer with another time of the reading, and other values of its main part."""
    seconds = int(moment.timestamp())
    if "current" in document:
        return {**document, "current": {**document["current"], "time": seconds, **changes}}
    return {**document, "dt": seconds, "main": {**document["main"], **changes}}


class WeatherServer:
    """Set `answer` to (status, headers, body) or to a name in `ways`; `asked` has the path and query of each."""

    def __init__(self):
        self.asked = []
        self.key = None  # where one is set, others are refused
        self.answer = None
        self.url = ""
        self.server = None
        self.waiting = set()

    async def start(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"

    async def stop(self):
        self.server.close()
        for task in self.waiting:
            task.cancel()
        await asyncio.gather(*self.waiting, return_exceptions=True)
        await self.server.wait_closed()

    async def serve(self, reader, writer):
        task = asyncio.current_task()
        self.waiting.add(task)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            address = urlsplit(head.split()[1])
            query = {name: values[0] for name, values in parse_qs(address.query).items()}
            self.asked.append((address.path, query))
            way = getattr(self, f"be_{self.answer}", None) if isinstance(self.answer, str) else None
            await (way(writer) if way else self.send(writer, *self.say(address.path, query)))
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self.waiting.discard(task)
            writer.close()

    def say(self, path, query):
        if self.answer is not None:
            return self.answer
        if path == "/v1/forecast":
            return 200, {}, now_at(OPEN_METEO, self.moment())
        if self.key is not None and query.get("appid") != self.key:
            return 401, {}, OPENWEATHER_401
        return 200, {}, now_at(OPENWEATHER, self.moment())

    @staticmethod
    def moment():
        from datetime import UTC, datetime

        return datetime.fromtimestamp(time.time() - 300, UTC)

    @staticmethod
    async def send(writer, status, headers, body):
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        lines = [f"HTTP/1.1 {status} OK", f"Content-Length: {len(body)}", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        await writer.drain()

    async def be_silent(self, writer):
        await asyncio.Event().wait()

    async def be_dripping(self, writer):
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"X-More: x\r\n")
            await writer.drain()
            await asyncio.sleep(0.05)

    async def be_endless(self, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
        while True:
            writer.write(b'{"current": ' + b" " * 8192)
            await writer.drain()

    async def be_torn(self, writer):
        writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{"current": {')
        await writer.drain()

    async def be_no_http(self, writer):
        writer.write(b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n")
        await writer.drain()


def in_background(server):
    return InBackground(server)
