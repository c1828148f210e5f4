"""Every setting, read from the environment; the defaults start a working system in ./data."""

from __future__ import annotations

import logging
import tomllib
from pathlib import Path
from typing import Any

import environ
import structlog
from django.core.exceptions import ImproperlyConfigured

from timelapser import env
from timelapser.queues import QUEUE_OF_KIND, QUEUE_OF_TASK, QUEUES, capture_queue  # noqa: F401 - a setting, too
from timelapser.secrets import SecretFilter, key_from, passwords_in

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = env.folder("TIMELAPSER_DATA", BASE_DIR / "data")
DEBUG = env.flag("TIMELAPSER_DEBUG", default=False)
VERSION: str = tomllib.loads((BASE_DIR / "pyproject.toml").read_text())["project"]["version"]

# --- secrets: from the environment, a file, or made once in the data folder (0600) --------------------------------
SECRET_KEY = env.text("TIMELAPSER_SECRET_KEY") or key_from(DATA_DIR / "secret_key")
# Newest first; older ones still open what they sealed.
SEALING_KEYS = [
    key.strip()
    for key in (env.text("TIMELAPSER_SEALING_KEYS") or key_from(DATA_DIR / "sealing_key")).split(",")
    if key.strip()
]

ALLOWED_HOSTS = env.words("TIMELAPSER_ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.words("TIMELAPSER_CSRF_ORIGINS", [])
# Whose X-Forwarded-For and -Proto are believed (timelapser/asgi.py): addresses or networks.
TRUSTED_PROXIES = env.words("TIMELAPSER_TRUSTED_PROXIES", [])
BEHIND_HTTPS = env.flag("TIMELAPSER_HTTPS", default=False)

INSTALLED_APPS = [
    "unfold",
    # Its pages are registered by timelapser/urls.py: workers and beat, who show none, are 18 MB smaller each.
    "django.contrib.admin.apps.SimpleAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "channels",
    "rest_framework",
    "rest_framework.authtoken",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_filters",
    "django_celery_beat",
    "django_structlog",
    "media_jobs",
    "cameras",
    "captures",
    "videos",
    "timelapser",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "timelapser.security.ContentSecurityPolicy",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_structlog.middlewares.RequestMiddleware",
    "timelapser.logs.Correlation",
]

ROOT_URLCONF = "timelapser.urls"
ASGI_APPLICATION = "timelapser.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# --- truth ------------------------------------------------------------------------------------------------------
DATABASE_URL = env.text("TIMELAPSER_DATABASE_URL") or f"sqlite:///{DATA_DIR / 'timelapser.sqlite3'}"
DATABASES: dict[str, Any] = {"default": environ.Env.db_url_config(DATABASE_URL)}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # Measured: 0 of 230 writes failed with four writers, where Django's defaults failed 34.
    DATABASES["default"]["OPTIONS"] = {
        "timeout": 20,
        "transaction_mode": "IMMEDIATE",
        "init_command": (
            "PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL;PRAGMA journal_size_limit=27103364;"
        ),
    }
elif DATABASES["default"]["ENGINE"].endswith("postgresql"):
    DATABASES["default"]["CONN_MAX_AGE"] = 60
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    # A machine that is cut off must not hold its locks for the hours of TCP's own patience; seconds, and milliseconds.
    DATABASES["default"].setdefault("OPTIONS", {}).update(
        keepalives_idle=15,
        keepalives_interval=5,
        keepalives_count=3,
        tcp_user_timeout=30_000,
        options="-c idle_in_transaction_session_timeout=60s -c tcp_keepalives_idle=15 -c tcp_keepalives_interval=5"
        " -c tcp_keepalives_count=3",
    )
else:
    raise ImproperlyConfigured("TIMELAPSER_DATABASE_URL must start with sqlite:// or postgresql://")
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- broker and live updates ------------------------------------------------------------------------------------
REDIS = env.RedisAddress.parse(env.text("TIMELAPSER_REDIS_URL") or "redis://localhost:6379/0")
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [REDIS.channels], "prefix": env.text("TIMELAPSER_CHANNEL_PREFIX", "timelapser")},
    },
}

# Requests in general are counted by each process for itself; tries to log in by all of them together.
CACHES: dict[str, Any] = {
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    "logins": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS.channels,
        "KEY_PREFIX": f"{env.text('TIMELAPSER_CHANNEL_PREFIX', 'timelapser')}-logins",
        "OPTIONS": {"socket_connect_timeout": 1, "socket_timeout": 1},
    },
}

CELERY_BROKER_URL = REDIS.broker
BROKER_PREFIX: str = env.text("TIMELAPSER_BROKER_PREFIX", "") or ""
CELERY_TASK_IGNORE_RESULT = True
CELERY_RESULT_BACKEND = None
CELERY_RESULT_EXPIRES = None
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_ACKS_LATE = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 5
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 600,
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
    "socket_timeout": 30,
    "socket_connect_timeout": 5,
    "global_keyprefix": BROKER_PREFIX,
}
CELERY_BEAT_SCHEDULER = "timelapser.beat:Scheduler"
CELERY_BEAT_MAX_LOOP_INTERVAL = 5
CELERY_TIMEZONE = "UTC"
CELERY_ENABLE_UTC = True
CELERY_TASK_DEFAULT_QUEUE = "upkeep"
CELERY_TASK_QUEUES = {queue: {"exchange": queue, "routing_key": queue} for queue in QUEUES}
CELERY_TASK_ROUTES = {task: {"queue": queue} for task, queue in QUEUE_OF_TASK.items()}
CELERY_TASK_CREATE_MISSING_QUEUES = True  # those of the sites, which are rows
CAPTURE_QUEUE_OF = capture_queue
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_SEND_TASK_EVENTS = False

# --- time and words ---------------------------------------------------------------------------------------------
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False
LANGUAGE_CODE = "en-us"
DEFAULT_TIME_ZONE = env.text("TIMELAPSER_TIME_ZONE", "UTC")

# --- files ------------------------------------------------------------------------------------------------------
MEDIA_ROOT = env.folder("TIMELAPSER_MEDIA", DATA_DIR / "media")
STATIC_URL = "static/"
STATIC_ROOT = env.folder("TIMELAPSER_STATIC", DATA_DIR / "static")
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "media_jobs.files.AtomicFileSystemStorage"},
    "staticfiles": {"BACKEND": "timelapser.staticfiles.HashedModules"},
}
WHITENOISE_USE_FINDERS = DEBUG
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024

# --- who may do what --------------------------------------------------------------------------------------------
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "dashboard"
LOGOUT_REDIRECT_URL = "login"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = BEHIND_HTTPS
SECURE_REDIRECT_EXEMPT = [r"^health/"]  # supervisors ask from inside, without the proxy
SECURE_HSTS_SECONDS = 31_536_000 if BEHIND_HTTPS else 0
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_HTTPS else None
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "rest_framework.authentication.SessionAuthentication",
        "rest_framework.authentication.TokenAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["media_jobs.permissions.RolePermission"],
    "DEFAULT_PAGINATION_CLASS": "media_jobs.paging.Pages",
    "DEFAULT_FILTER_BACKENDS": [
        "django_filters.rest_framework.DjangoFilterBackend",
        "media_jobs.filters.KnownOrdering",
    ],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["media_jobs.parsing.BoundedJSON"],
    "DEFAULT_SCHEMA_CLASS": "timelapser.openapi.Schema",
    "DEFAULT_THROTTLE_CLASSES": [
        "rest_framework.throttling.AnonRateThrottle",
        "rest_framework.throttling.UserRateThrottle",
    ],
    "DEFAULT_THROTTLE_RATES": {
        "anon": env.text("TIMELAPSER_RATE_ANONYMOUS", "60/min"),
        "user": env.text("TIMELAPSER_RATE_USER", "1200/min"),
        "login": env.text("TIMELAPSER_RATE_LOGIN", "10/min"),
        "login_address": env.text("TIMELAPSER_RATE_LOGIN_ADDRESS", "30/min"),
    },
    "NUM_PROXIES": 0,  # by the address of the connection: the header can be invented
    "EXCEPTION_HANDLER": "timelapser.problems.problem_details",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Timelapser",
    "DESCRIPTION": "Photographs for months, unattended, and always has the film ready.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.IsAuthenticated"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "/static/favicon.svg",
    "REDOC_DIST": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "ENUM_NAME_OVERRIDES": {
        "JobState": "media_jobs.models.MediaJob.State",
        "TimelapseState": "captures.models.Timelapse.State",
        "CaptureState": "captures.models.Capture.State",
        "VideoState": "videos.models.Video.State",
        "WorkKind": "timelapser.work.Kind",
        "CameraKind": "cameras.models.Camera.Kind",
    },
}
UNFOLD = {
    "SITE_TITLE": "Timelapser",
    "SITE_HEADER": "Timelapser",
    "SITE_SYMBOL": "photo_camera",
    "SITE_URL": "/",
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": True,
    # The rust of our own pages.
    "COLORS": {
        "primary": {
            "50": "oklch(97.5% .016 60)",
            "100": "oklch(94.5% .035 60)",
            "200": "oklch(89% .07 58)",
            "300": "oklch(82% .11 56)",
            "400": "oklch(76% .135 60)",
            "500": "oklch(62% .15 50)",
            "600": "oklch(50% .135 46)",
            "700": "oklch(44% .12 45)",
            "800": "oklch(38% .1 45)",
            "900": "oklch(32% .08 45)",
            "950": "oklch(24% .06 45)",
        },
    },
}

# --- the product's own numbers (docs/configuration.md) -----------------------------------------------------------
ALLOW_LOOPBACK_CAMERAS = env.flag("TIMELAPSER_ALLOW_LOOPBACK_CAMERAS", default=False)
# Folders below which a camera of the kind "files" may read.
CAMERA_FOLDERS = [Path(folder) for folder in env.words("TIMELAPSER_CAMERA_FOLDERS", [])]
# Where the weather is asked for, by provider; empty: the provider's own address.
WEATHER_URLS = {
    "open-meteo": env.text("TIMELAPSER_OPEN_METEO_URL") or "",
    "openweather": env.text("TIMELAPSER_OPENWEATHER_URL") or "",
}
CAPTURES_PER_HOST = env.whole("TIMELAPSER_CAPTURES_PER_HOST", 4)
MIN_FREE_BYTES = env.whole("TIMELAPSER_MIN_FREE_MB", 200) * 1024 * 1024
SEGMENT_FRAMES = env.whole("TIMELAPSER_SEGMENT_FRAMES", 120)
ENCODER_THREADS = env.whole("TIMELAPSER_ENCODER_THREADS", 1)
# Waiting jobs of one kind: those that people asked for (a warning, the limit), and backfill.
WARN_WAITING = env.whole("TIMELAPSER_WARN_WAITING", 50)
MAX_WAITING = env.whole("TIMELAPSER_MAX_WAITING", 100)
MAX_BACKFILL = env.whole("TIMELAPSER_MAX_BACKFILL", 10_000)
KEEP_JOBS_DAYS = env.whole("TIMELAPSER_KEEP_JOBS_DAYS", 30)
KEEP_EVENTS_HOURS = env.whole("TIMELAPSER_KEEP_EVENTS_HOURS", 24)
KEEP_AUDIT_DAYS = env.whole("TIMELAPSER_KEEP_AUDIT_DAYS", 365)
KEEP_RUNS_DAYS = env.whole("TIMELAPSER_KEEP_RUNS_DAYS", 30)

# --- logs: JSON or console, one request id from the click to the ffmpeg line ---------------------------------------
LOG_JSON = env.flag("TIMELAPSER_LOG_JSON", default=False)
_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]
# Plain traces: the pretty ones print local variables, and a password is one now and then.
_CONSOLE = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": structlog.stdlib.ProcessorFormatter,
            "processors": [
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,  # first, so that the trace is searched for secrets too
                SecretFilter(
                    (SECRET_KEY, *SEALING_KEYS, *passwords_in(DATABASE_URL, REDIS.channels)),
                ),
                structlog.processors.JSONRenderer() if LOG_JSON else _CONSOLE,
            ],
            "foreign_pre_chain": _SHARED,
        },
    },
    "filters": {
        "no_trace": {"()": "timelapser.logs.WithoutTrace"},
        "no_trace_of_refusals": {"()": "timelapser.logs.RefusalsWithoutTrace"},
        # "Not ready" is an answer to whoever polls it, and no error of ours.
        "no_health": {
            "()": "django.utils.log.CallbackFilter",
            "callback": lambda record: (
                not getattr(getattr(record, "request", None), "path", "").startswith("/health/")
            ),
        },
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": env.text("TIMELAPSER_LOG_LEVEL", "INFO")},
    "loggers": {
        "httpx": {"level": "WARNING"},
        "httpcore": {"level": "WARNING"},
        # A broker that is away is a line, not a trace for each entry.
        "celery.beat": {"level": "WARNING", "filters": ["no_trace"]},
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
        "django_structlog": {"level": "WARNING"},
        "PIL": {"level": "INFO"},  # on DEBUG it tells what stands in a picture's EXIF
        "django.request": {"filters": ["no_health", "no_trace_of_refusals"]},
    },
}
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.filter_by_level,
        *_SHARED[1:],
        structlog.processors.format_exc_info,
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=True,
)
DJANGO_STRUCTLOG_CELERY_ENABLED = True
DJANGO_STRUCTLOG_STATUS_5XX_LOG_LEVEL = logging.INFO  # django.request tells them already
