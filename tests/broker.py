"""What lies in the queues, read from the real broker."""

import base64
import json
from dataclasses import dataclass
from datetime import datetime

import redis
from celery import current_app
from django.conf import settings


@dataclass(frozen=True)
class Message:
    task: str
    argument: object
    expires: datetime | None


class Broker:
    def __init__(self, url):
        self.client = redis.Redis.from_url(url)

    def empty(self):
        self.client.flushdb()

    def messages(self, queue):
        """In the order in which they were sent."""
        return [_read(json.loads(text)) for text in reversed(self.client.lrange(queue, 0, -1))]

    def work_off(self, *queues):
        """Does what lies in `queues` as a worker would, in this process, until they are empty. Returns the tasks."""
        done = []
        while texts := [text for queue in queues if (text := self.client.rpop(queue))]:
            for message in map(_read, map(json.loads, texts)):
                current_app.tasks[message.task].apply(args=[message.argument], throw=True)
                done.append(message.task)
        return done

    def close(self):
        self.client.close()


def connect():
    current_app.loader.import_default_modules()
    return Broker(settings.REDIS.channels)


def _read(message):
    arguments = json.loads(base64.b64decode(message["body"]))[0]
    expires = message["headers"]["expires"]
    return Message(
        task=message["headers"]["task"],
        argument=arguments[0],
        expires=datetime.fromisoformat(expires) if expires else None,
    )
