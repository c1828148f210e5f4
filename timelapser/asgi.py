"""The one server: pages and API over HTTP, events over WebSocket."""

from __future__ import annotations

import os
import warnings
from typing import Any

from django.core.asgi import get_asgi_application
from django.db import connections

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "timelapser.settings")
# WhiteNoise hands out style sheets and scripts in plain iterators, which are small; films come in asynchronous ones.
warnings.filterwarnings("ignore", message="StreamingHttpResponse must consume synchronous iterators")
http = get_asgi_application()
# Each request runs in a thread of its own here: a connection that is kept would be left behind with its thread.
connections.settings["default"]["CONN_MAX_AGE"] = 0

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.conf import settings
from django.urls import path
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from media_jobs.consumers import EventsConsumer


def behind_proxies(application: Any) -> ProxyHeadersMiddleware:
    """Takes the visitor's address from the proxies that the settings name, and from nobody else."""
    return ProxyHeadersMiddleware(application, trusted_hosts=settings.TRUSTED_PROXIES)


application = behind_proxies(
    ProtocolTypeRouter(
        {
            "http": http,
            "websocket": AllowedHostsOriginValidator(
                AuthMiddlewareStack(URLRouter([path("ws/events/", EventsConsumer.as_asgi())]))
            ),
        }
    )
)
