from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.livchat.setup.plugins.module_utils._errors import LivchatError
from ansible_collections.livchat.setup.plugins.plugin_utils._home import Home
from ansible_collections.livchat.setup.plugins.plugin_utils._settings import Settings


def configured(home: Home, text: str) -> Settings:
    home.make()
    Path(home.file("config.yaml")).write_text(text)
    return Settings(home)


def test_defaults_hold_where_the_file_says_nothing(home: Home) -> None:
    settings = configured(home, "dns:\n  zone: example.com\nacme:\n  email:\ndocker:\n")
    assert settings.get("dns.zone") == "example.com"
    assert settings.get("acme.email") == ""
    assert settings.get("docker.registry_mirrors") == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("dns:\n  zones: example.com\n", "no setting dns.zones. Did you mean dns.zone?"),
        ("dns:\n  provider: route53\n", "dns.provider is 'route53'; allowed: cloudflare, none"),
        ("dns:\n  resolvers: 1.1.1.1\n", "dns.resolvers must be a list"),
        ("dns:\n  resolvers: [1]\n", "dns.resolvers must be a list of texts"),
        ("dns:\n  zone: 7\n", "dns.zone must be a text"),
        ("xyz: 1\n", "no setting xyz"),
        ("- dns\n", "sections"),
        ("dns: [\n", "config.yaml"),
    ],
)
def test_what_is_wrong_in_the_file_is_named(home: Home, text: str, said: str) -> None:
    with pytest.raises(LivchatError) as caught:
        configured(home, text).get("dns.zone")
    assert said in caught.value.message


def test_an_unknown_key_is_refused_when_asked_for(home: Home) -> None:
    with pytest.raises(LivchatError, match=r"Did you mean acme\.email"):
        Settings(home).get("acme.mail")


def test_an_update_keeps_the_rest_and_says_whether_it_changed_anything(home: Home) -> None:
    settings = configured(home, "dns:\n  zone: example.com\n")
    assert settings.update({"acme.email": "ana@example.com"})
    assert not settings.update({"acme.email": "ana@example.com"})
    assert settings.all() == {"dns.zone": "example.com", "acme.email": "ana@example.com"}
    with pytest.raises(LivchatError, match="SETTING_INVALID"):
        settings.update({"dns.provider": "route53", "dns.zone": "other.example"})
    assert settings.get("dns.zone") == "example.com"
