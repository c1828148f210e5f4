"""Addresses of pictures."""

from __future__ import annotations

from django.urls import path

from captures import views

urlpatterns = [path("media/captures/<int:pk>/<str:size>.jpg", views.picture, name="capture-picture")]
