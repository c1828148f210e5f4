"""Which addresses a camera may have."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cameras.sources import AddressRefused, SourceKind
from cameras.sources.addresses import check_ip, host_and_port, split_credentials, validate_address

RTSP, HTTP, MJPEG, FILES = SourceKind.RTSP, SourceKind.HTTP, SourceKind.MJPEG, SourceKind.FILES


@pytest.mark.parametrize(
    ("kind", "address", "normal"),
    [
        (RTSP, "rtsp://192.168.1.20/stream1", "rtsp://192.168.1.20/stream1"),
        (RTSP, "RTSP://Camera.Local.:8554/Live", "rtsp://camera.local:8554/Live"),
        (RTSP, "rtsps://10.0.0.3:322/a?b=c&d=e", "rtsps://10.0.0.3:322/a?b=c&d=e"),
        (RTSP, "rtsp://[fd12::0001]:554/x", "rtsp://[fd12::1]:554/x"),
        (
            HTTP,
            "https://kamera.example/bild.jpg?größe=1",
            "https://kamera.example/bild.jpg?gr%C3%B6%C3%9Fe=1",
        ),
        (HTTP, "http://käse.example/x", "http://xn--kse-qla.example/x"),
        (MJPEG, "http://172.16.4.4/video.cgi", "http://172.16.4.4/video.cgi"),
        (HTTP, "http://100.64.0.9/x", "http://100.64.0.9/x"),
    ],
)
def test_address_comes_out_in_its_normal_form(kind, address, normal):
    assert validate_address(kind, address) == normal
    assert validate_address(kind, normal) == normal


@pytest.mark.parametrize(
    ("kind", "address"),
    [
        (RTSP, ""),
        (RTSP, "http://192.168.1.2/"),
        (HTTP, "rtsp://192.168.1.2/"),
        (HTTP, "file:///etc/passwd"),
        (RTSP, "concat:rtsp://a|b"),
        (RTSP, "rtsp:192.168.1.2/x"),
        (RTSP, "-i"),
        (RTSP, "-rtsp://192.168.1.2/"),
        (RTSP, "rtsp://192.168.1.2/a b"),
        (RTSP, "rtsp://192.168.1.2/a\nb"),
        (RTSP, "rtsp://192.168.1.2/a\r\nSetup: x"),
        (RTSP, "rtsp://192.168.1.2/a\tb"),
        (RTSP, "rtsp://192.168.1.2/\x00"),
        (RTSP, "rtsp://192.168.1.2/\u2028x"),
        (RTSP, " rtsp://192.168.1.2/"),
        (RTSP, "rtsp://admin:secret@192.168.1.2/"),
        (RTSP, "rtsp://admin@192.168.1.2/"),
        (RTSP, "rtsp://@192.168.1.2/"),
        (RTSP, "rtsp://192.168.1.2\\@evil/"),
        (RTSP, "rtsp://192.168.1.2:0/"),
        (RTSP, "rtsp://192.168.1.2:65536/"),
        (RTSP, "rtsp://192.168.1.2:abc/"),
        (RTSP, "rtsp:///x"),
        (RTSP, "rtsp://-camera/x"),
        (RTSP, "rtsp://a..b/x"),
        (RTSP, "rtsp://[::1/x"),
        (RTSP, "rtsp://192.168.1.2/x#y"),
        (RTSP, "rtsp://192.168.1.2/" + "x" * 3000),
        (HTTP, "http://192.168.001.064/"),
        (HTTP, "http://192.168.1/"),
        (HTTP, "http://224.0.0.1/"),
        (HTTP, "http://0.0.0.0/"),
        (HTTP, "http://255.255.255.255/"),
    ],
)
def test_address_is_refused_even_where_loopback_is_allowed(kind, address):
    with pytest.raises(AddressRefused):
        validate_address(kind, address, allow_loopback=True)


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST.", "cam.localhost", "127.0.0.1", "127.9.9.9", "[::1]", "[::ffff:127.0.0.1]",
     "169.254.7.7", "[fe80::1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[::7f00:1]"],
)  # fmt: skip
def test_loopback_and_link_local_need_the_setting(host):
    with pytest.raises(AddressRefused):
        validate_address(HTTP, f"http://{host}/x")
    assert validate_address(HTTP, f"http://{host}/x", allow_loopback=True).endswith("/x")


@pytest.mark.parametrize(
    "host",
    ["169.254.169.254", "[::ffff:169.254.169.254]", "[fd00:ec2::254]", "metadata.google.internal",
     "[64:ff9b::a9fe:a9fe]", "100.100.100.200", "168.63.129.16"],
)  # fmt: skip
def test_metadata_addresses_are_refused_always(host):
    with pytest.raises(AddressRefused):
        validate_address(HTTP, f"http://{host}/latest/", allow_loopback=True)


@pytest.mark.parametrize(
    "host", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0x7f.1", "１２７.0.0.1", "127.0.0.1."]
)
def test_disguised_loopback_is_refused(host):
    with pytest.raises(AddressRefused):
        validate_address(HTTP, f"http://{host}/")


@pytest.mark.parametrize("ip", ["fe80::1%eth0", "::ffff:127.0.0.1", "169.254.169.254"])
def test_resolved_address_is_judged_as_a_written_one(ip):
    with pytest.raises(AddressRefused):
        check_ip(ip, allow_loopback=False)


def test_login_in_the_address_is_refused_with_advice_and_without_repeating_it():
    with pytest.raises(AddressRefused, match="own fields") as caught:
        validate_address(RTSP, "rtsp://admin:geheim@10.0.0.2/")
    assert "geheim" not in repr(caught.value)


@pytest.mark.parametrize(
    ("pasted", "expected"),
    [
        ("rtsp://admin:pass@10.0.0.2:554/x", ("rtsp://10.0.0.2:554/x", "admin", "pass")),
        ("rtsp://admin:p%40ss%2F@10.0.0.2/x", ("rtsp://10.0.0.2/x", "admin", "p@ss/")),
        ("rtsp://admin:p@ss@10.0.0.2/x?y=a@b", ("rtsp://10.0.0.2/x?y=a@b", "admin", "p@ss")),
        ("http://admin@10.0.0.2", ("http://10.0.0.2", "admin", "")),
        ("http://10.0.0.2/a@b", ("http://10.0.0.2/a@b", "", "")),
        ("not an address", ("not an address", "", "")),
    ],
)
def test_pasted_address_is_split_into_address_and_login(pasted, expected):
    assert split_credentials(pasted) == expected


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("rtsp://10.0.0.2/x", ("10.0.0.2", 554)),
        ("rtsps://10.0.0.2/x", ("10.0.0.2", 322)),
        ("http://[fd00::1]/", ("fd00::1", 80)),
        ("https://camera:8443/", ("camera", 8443)),
    ],
)
def test_host_and_port(address, expected):
    assert host_and_port(address) == expected


def test_path_must_lie_in_an_allowed_folder(tmp_path):
    allowed = tmp_path / "pictures"
    allowed.mkdir()
    (allowed / "out").symlink_to(tmp_path)
    assert validate_address(FILES, f"{allowed}/cam 1/x.jpg", folders=[allowed]) == f"{allowed}/cam 1/x.jpg"
    refused = ["", "x.jpg", "../x", f"{allowed}/../y", f"{allowed}/out/y", f"{allowed}2", f"{allowed}/a\nb",
               f"file://{allowed}/x", "-x", f"{allowed}/\0"]  # fmt: skip
    for address in refused:
        with pytest.raises(AddressRefused):
            validate_address(FILES, address, folders=[allowed])
    with pytest.raises(AddressRefused):
        validate_address(FILES, f"{allowed}/x.jpg", folders=[])


@given(st.text(max_size=40), st.sampled_from(list(SourceKind)))
def test_any_text_is_either_refused_or_normal(text, kind):
    for address in (text, f"rtsp://{text}", f"http://{text}/x", f"http://10.0.0.1/{text}"):
        try:
            normal = validate_address(kind, address)
        except AddressRefused:
            continue
        assert normal.isascii()
        assert normal.isprintable()
        assert validate_address(kind, normal) == normal
