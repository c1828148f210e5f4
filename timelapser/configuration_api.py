"""The configuration as a file, in the API: for those who set up cameras."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from media_jobs import audit, clock
from timelapser.configuration import FileRefused, Report, Verdict, export_document, import_document


class ExportWishSerializer(serializers.Serializer[Any]):
    passphrase = serializers.CharField(
        required=False,
        allow_blank=True,
        default="",
        max_length=1000,
        trim_whitespace=False,
        write_only=True,
        help_text="Empty: a file without secrets.",
    )


class ImportWishSerializer(ExportWishSerializer):
    document = serializers.DictField(help_text="What the export has given.")
    is_trial = serializers.BooleanField(default=False, help_text="Only say what would be done.")
    skips_refused = serializers.BooleanField(
        default=False, help_text="Do the rest where something is refused; otherwise nothing is done then."
    )


class ItemSerializer(serializers.Serializer[Any]):
    """One thing of the file."""

    kind = serializers.CharField()
    name = serializers.CharField()
    verdict = serializers.CharField(help_text="created, changed, unchanged or refused.")
    changed = serializers.ListField(child=serializers.CharField(), help_text="Names of fields, never values.")
    problems = serializers.DictField(child=serializers.CharField(), help_text="Why it is refused, by field.")


class ReportSerializer(serializers.Serializer[Any]):
    """What was done, or would be."""

    is_trial = serializers.BooleanField()
    is_applied = serializers.BooleanField()
    counts = serializers.DictField(child=serializers.IntegerField())
    notes = serializers.ListField(child=serializers.CharField())
    items = ItemSerializer(many=True)


class ExportView(APIView):
    """The configuration as a file."""

    conflicts = {"post"}

    @extend_schema(
        operation_id="configuration_export",
        request=ExportWishSerializer,
        responses={200: {"type": "object", "additionalProperties": {}}},
    )
    def post(self, request: Request) -> Response:
        """Everything that people have set up; with a passphrase also the secrets, sealed by it."""
        wish = ExportWishSerializer(data=request.data)
        wish.is_valid(raise_exception=True)
        passphrase = wish.validated_data["passphrase"]
        try:
            document = export_document(passphrase)
        except FileRefused as error:
            raise serializers.ValidationError({"passphrase": [str(error)]}) from None
        note_export(request.user.get_username(), is_sealed=bool(passphrase))
        return Response(document)


class ImportView(APIView):
    """The configuration from a file."""

    @extend_schema(
        operation_id="configuration_import", request=ImportWishSerializer, responses={200: ReportSerializer}
    )
    def post(self, request: Request) -> Response:
        """Creates and changes what the file names, in one transaction; nothing is deleted or restarted."""
        wish = ImportWishSerializer(data=request.data)
        wish.is_valid(raise_exception=True)
        try:
            report = import_document(**wish.validated_data, by=request.user.get_username(), now=clock.now())
        except FileRefused as error:
            raise serializers.ValidationError({"document": [str(error)]}) from None
        if not report.is_trial and not report.is_applied:
            raise serializers.ValidationError(_problems(report))
        return Response(ReportSerializer(report).data)


def note_export(by: str, *, is_sealed: bool) -> None:
    """Who took the configuration with them, and whether with its secrets."""
    audit.note("configuration_exported", topic="settings", by=by, facts={"with_secrets": is_sealed})


def _problems(report: Report) -> dict[str, list[str]]:
    return {
        f"{item.kind} {item.name}{f': {name}' if name else ''}": [words]
        for item in report.items
        if item.verdict == Verdict.REFUSED
        for name, words in item.problems.items()
    }
