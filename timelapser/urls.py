"""Every address of the site."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

from timelapser import health
from timelapser.pages import signin

admin.autodiscover()

urlpatterns = [
    path("health/live", health.live, name="health-live"),
    path("health/ready", health.ready, name="health-ready"),
    path("admin/login/", signin.admin_login),
    path("admin/", admin.site.urls),
    path("api/v1/", include("timelapser.api")),
    path("", include("media_jobs.urls")),
    path("", include("captures.urls")),
    path("", include("videos.urls")),
    path("", include("timelapser.pages.urls")),
]
