"""URLs that may be called, and those that only look like it."""

from __future__ import annotations

import pytest

from serve_app.workflows.jobs.webhook_url import may_be_called

HOSTS = ("hooks.example", "Tls.example:443", "plain.example:80", "odd.example:8080", "10.0.0.1")


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example/told",
        "http://hooks.example:9000/",
        "HTTPS://HOOKS.EXAMPLE",
        "https://tls.example/",
        "https://tls.example:443/",
        "http://plain.example/",
        "http://odd.example:8080/a?b=c#d",
        "http://10.0.0.1/",
    ],
)
def test_urls_on_configured_hosts_may_be_called(url: str) -> None:
    assert may_be_called(url, HOSTS)


@pytest.mark.parametrize(
    "url",
    [
        "http://tls.example/",
        "https://plain.example/",
        "http://odd.example/",
        "http://odd.example:8081/",
        "http://hooks.example.evil.example/",
        "http://evil.example/hooks.example",
        "http://evil.example#hooks.example",
        "http://evil.example\\@hooks.example/",
        "http://hooks.example@evil.example/",
        "http://user:password@hooks.example/",
        "http://hooks.example:0/",
        "http://10.1/",
        "http://167772161/",
        "ftp://hooks.example/",
        "file:///hooks.example",
        "//hooks.example/",
        "hooks.example",
        "",
    ],
)
def test_others_may_not(url: str) -> None:
    assert not may_be_called(url, HOSTS)


def test_without_hosts_nobody_is_called() -> None:
    assert not may_be_called("http://hooks.example/", ())
