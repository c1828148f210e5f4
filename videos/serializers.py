"""Recipes and films in the form in which the API takes and gives them."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.reverse import reverse

from captures.models import Timelapse
from media_jobs.filters import EARLIEST, LATEST
from videos.models import Recipe, Video

LONGEST_THROTTLE_S = 7 * 86_400


class RecipeSerializer(serializers.ModelSerializer[Recipe]):
    """How a film looks."""

    # Named here, because the ranges of the columns differ between databases.
    fps = serializers.IntegerField(min_value=1, max_value=120, default=24)
    height = serializers.ChoiceField(
        choices=Recipe.Height.choices, default=Recipe.Height.SOURCE, help_text="Lines; 0: as the camera."
    )

    class Meta:
        model = Recipe
        fields = ["id", "name", "frames", "fps", "height", "codec", "quality"]


class FilmSerializer(serializers.Serializer[Any]):
    """Where the newest revision of a film is."""

    play = serializers.URLField()
    download = serializers.URLField()
    poster = serializers.URLField()


class VideoSerializer(serializers.ModelSerializer[Video]):
    """A film of one timelapse: all of it, or some of its days."""

    # Named here, so that no validators are made of constraints that hold for following films only.
    timelapse = serializers.PrimaryKeyRelatedField(queryset=Timelapse.objects.all())
    throttle_s = serializers.IntegerField(
        min_value=0,
        max_value=LONGEST_THROTTLE_S,
        default=0,
        help_text="A following film is renewed no more often; 0: with each capture.",
    )
    is_outdated = serializers.BooleanField(
        read_only=True, help_text="Pictures came, or flags were set or cleared, since it was made."
    )
    film = serializers.SerializerMethodField(help_text="Null until the film has been made once.")

    class Meta:
        model = Video
        fields = [
            "id",
            "timelapse",
            "recipe",
            "name",
            "follows",
            "throttle_s",
            "from_day",
            "until_day",
            "created_at",
            "state",
            "error",
            "revision",
            "width",
            "height",
            "bytes",
            "frame_count",
            "omitted_count",
            "duration_s",
            "rendered_at",
            "is_outdated",
            "film",
        ]
        read_only_fields = [
            "state",
            "error",
            "revision",
            "width",
            "height",
            "bytes",
            "frame_count",
            "omitted_count",
            "duration_s",
            "rendered_at",
        ]
        validators: list[Any] = []

    @extend_schema_field(FilmSerializer(allow_null=True))
    def get_film(self, video: Video) -> dict[str, str] | None:
        if not video.file:
            return None
        where, request = [video.pk, video.revision], self.context.get("request")
        film = reverse("video-film", args=where, request=request)
        return {
            "play": film,
            "download": f"{film}?download=1",
            "poster": reverse("video-poster", args=where, request=request),
        }

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        first, last = attrs.get("from_day"), attrs.get("until_day")
        for name, day in (("from_day", first), ("until_day", last)):
            if day and not EARLIEST.date() < day < LATEST.date():
                raise serializers.ValidationError(
                    {name: [f"Must lie between {EARLIEST:%Y} and {LATEST:%Y}."]}
                )
        if first and last and first > last:
            raise serializers.ValidationError(
                {"until_day": ["The last day must not lie before the first one."]}
            )
        if attrs.get("follows"):
            if first or last:
                raise serializers.ValidationError(
                    {"follows": ["A film that follows has no first or last day."]}
                )
            if Video.objects.filter(timelapse=attrs["timelapse"], follows=True).exists():
                raise serializers.ValidationError(
                    {"follows": ["This timelapse has a following film already."]}
                )
        return attrs


class VideoChangeSerializer(VideoSerializer):
    """Of a film that exists only its name and its pace can be changed."""

    class Meta(VideoSerializer.Meta):
        read_only_fields = [
            *VideoSerializer.Meta.read_only_fields,
            "recipe",
            "follows",
            "from_day",
            "until_day",
        ]

    timelapse = serializers.PrimaryKeyRelatedField(read_only=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        return attrs

    def update(self, instance: Video, validated_data: dict[str, Any]) -> Video:
        for name, value in validated_data.items():
            setattr(instance, name, value)
        # A render may publish meanwhile: only what was asked for is written.
        instance.save(update_fields=list(validated_data))
        return instance
