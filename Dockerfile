# One image for every role; docker-compose.yml says which command runs, and brings the init process. It holds no
# secret and no data.
FROM python:3.11-slim AS install
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/timelapser
COPY requirements.txt /tmp/requirements.txt
RUN /opt/timelapser/bin/pip install --require-hashes --only-binary :all: --requirement /tmp/requirements.txt \
    && /opt/timelapser/bin/pip uninstall --yes pip setuptools

FROM python:3.11-slim
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /srv/timelapser timelapser \
    && install -d -o timelapser -g timelapser /srv/timelapser /srv/data /srv/data/media /srv/static
ENV PATH=/opt/timelapser/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    DJANGO_SETTINGS_MODULE=timelapser.settings \
    TIMELAPSER_DATA=/srv/data \
    TIMELAPSER_MEDIA=/srv/data/media \
    TIMELAPSER_STATIC=/srv/static
COPY --from=install /opt/timelapser /opt/timelapser
WORKDIR /srv/timelapser
COPY . .
RUN python -m compileall -q .
USER timelapser
# Keys for this one step only: the settings want some, and nothing of them stays in the image.
RUN TIMELAPSER_SECRET_KEY=build TIMELAPSER_SEALING_KEYS=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= \
    python manage.py collectstatic --noinput --verbosity 0
VOLUME /srv/data/media
EXPOSE 8000
CMD ["python", "-m", "uvicorn", "timelapser.asgi:application", "--host", "0.0.0.0", "--port", "8000", "--no-proxy-headers"]
